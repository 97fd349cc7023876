package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/inspect/facts"
)

func printBuild(b *facts.Build, line func(name, format string, args ...any)) {
	module := &debug.Module{Path: b.Module, Version: b.Version}
	line("package", "%s", b.Package)
	line("module", "%s", strings.TrimSpace(module.Path+" "+module.Version))
	if b.Revision != "" {
		dirty := ""
		if b.Modified {
			dirty = ", with changes that are not committed"
		}
		line("revision", "%s of %s%s", b.Revision, cmp.Or(b.Time, "an unknown time"), dirty)
	}
	var settings []string
	for _, key := range sortedKeys(b.Settings) {
		settings = append(settings, key+"="+quoteIfNeeded(b.Settings[key]))
	}
	line("settings", "%s", strings.Join(settings, " "))
}

func quoteIfNeeded(s string) string {
	if strings.ContainsAny(s, " \t\"") {
		return strconv.Quote(s)
	}
	return s
}

func printProcess(p *facts.Process, line func(name, format string, args ...any)) {
	if p.Started != nil {
		uptime := ""
		if p.Uptime > 0 {
			uptime = fmt.Sprintf(", %v before", time.Duration(p.Uptime).Round(time.Millisecond))
		}
		line("started", "%s%s", p.Started.UTC().Format("2006-01-02 15:04:05.000 UTC"), uptime)
	}
	if p.MaxProcs > 0 {
		line("GOMAXPROCS", "%d", p.MaxProcs)
	}
	if g := p.GC; g != nil {
		line("GC", "%d cycles, %d forced, stopped for %v in all", g.Cycles, g.Forced, time.Duration(g.Paused))
	}
	if m := p.Memory; m != nil {
		line("resident", "%s", sizes([]sizeOf{{"", m.Resident}, {"at most ", m.Peak}}))
		line("heap", "%s", sizes([]sizeOf{{"live ", m.Live}, {"in use ", m.InUse}, {"released ", m.Released}, {"all of Go's memory ", m.Mapped}, {"limit ", m.Limit}}))
	}
	line("container", "%s", p.Container)
	line("image", "%s", p.Image)
	line("pod", "%s", p.Pod)
	line("pod UID", "%s", p.PodUID)
	line("namespace", "%s", p.Namespace)
	line("node", "%s", p.Node)
	var limits []string
	for _, name := range sortedKeys(p.Limits) {
		limits = append(limits, name+" "+p.Limits[name])
	}
	line("limits", "%s", strings.Join(limits, ", "))
}

type sizeOf struct {
	what  string
	bytes uint64
}

// sizes lists the known sizes.
func sizes(all []sizeOf) string {
	all = slices.DeleteFunc(all, func(s sizeOf) bool { return s.bytes == 0 })
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = s.what + bytesize.Short(s.bytes)
	}
	return strings.Join(texts, ", ")
}
