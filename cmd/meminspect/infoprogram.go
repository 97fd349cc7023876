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
	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect"
)

// buildJSON is how the program was built.
type buildJSON struct {
	Package  string            `json:"package,omitempty"`
	Module   string            `json:"module,omitempty"`
	Version  string            `json:"version,omitempty"`
	Revision string            `json:"vcsRevision,omitempty"`
	Time     string            `json:"vcsTime,omitempty"`
	Modified bool              `json:"vcsModified,omitempty"`
	Settings map[string]string `json:"settings,omitempty"` // without those of the version control system
}

// processJSON is what is known about the process when the core was taken.
type processJSON struct {
	Started   *time.Time        `json:"started,omitempty"`
	Uptime    duration.Seconds  `json:"uptime,omitempty"`
	MaxProcs  int               `json:"gomaxprocs,omitempty"`
	GC        *gcJSON           `json:"gc,omitempty"`
	Memory    *memoryJSON       `json:"memory,omitempty"`
	Container string            `json:"container,omitempty"`
	Pod       string            `json:"pod,omitempty"`
	Limits    map[string]string `json:"cgroupLimits,omitempty"` // by the kernel's file names
}

type gcJSON struct {
	Cycles uint64           `json:"cycles,string"`
	Forced uint64           `json:"forced,string"`
	Paused duration.Seconds `json:"paused"`
	Last   *time.Time       `json:"last,omitempty"`
}

type memoryJSON struct {
	Resident uint64 `json:"residentBytes,omitempty,string"`
	Peak     uint64 `json:"peakBytes,omitempty,string"`
	Live     uint64 `json:"heapLiveBytes,omitempty,string"`
	InUse    uint64 `json:"heapInUseBytes,omitempty,string"`
	Released uint64 `json:"heapReleasedBytes,omitempty,string"`
	Mapped   uint64 `json:"goMappedBytes,omitempty,string"`
	Limit    uint64 `json:"goMemoryLimit,omitempty,string"`
	Percent  string `json:"gogc,omitempty"`
}

// buildOf returns how the core's program was built, nil if unknown.
func buildOf(c *inspect.Core) *buildJSON {
	info := c.BuildInfo()
	if info == nil {
		return nil
	}
	b := &buildJSON{Package: info.Path, Module: info.Main.Path, Version: info.Main.Version}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "vcs":
		default:
			if s.Value == "" {
				continue
			}
			if b.Settings == nil {
				b.Settings = map[string]string{}
			}
			b.Settings[s.Key] = s.Value
		}
	}
	return b
}

// processOf returns what the core records of the process, nil if nothing.
func processOf(c *inspect.Core) *processJSON {
	facts := c.Facts()
	number := func(key string) uint64 {
		n, _ := strconv.ParseUint(facts[key], 10, 64) // 0 if there is none
		return n
	}
	p := &processJSON{MaxProcs: int(number("GOMAXPROCS")), Container: facts["CONTAINER"], Pod: facts["POD"]}
	if started := c.Started(); !started.IsZero() {
		p.Started = &started
	}
	if p.Started != nil && c.Capture != nil && c.Capture.When.After(*p.Started) {
		p.Uptime = duration.Seconds(c.Capture.When.Sub(*p.Started))
	}
	if _, ok := facts["GCCYCLES"]; ok {
		p.GC = &gcJSON{Cycles: number("GCCYCLES"), Forced: number("GCFORCED"), Paused: duration.Seconds(number("GCPAUSED")), Last: timeOf(facts["GCLAST"])}
	}
	m := memoryJSON{
		Resident: number("RESIDENT"), Peak: number("PEAK"), Live: number("HEAPLIVE"), InUse: number("HEAPINUSE"),
		Released: number("HEAPRELEASED"), Mapped: number("GOMAPPED"), Limit: number("GOMEMLIMIT"), Percent: facts["GOGC"],
	}
	if m.Limit == 1<<63-1 { // none
		m.Limit = 0
	}
	if m != (memoryJSON{}) {
		p.Memory = &m
	}
	for key, value := range facts {
		if name, ok := strings.CutPrefix(key, "CGROUP."); ok {
			if p.Limits == nil {
				p.Limits = map[string]string{}
			}
			p.Limits[name] = value
		}
	}
	if p.Started == nil && p.MaxProcs == 0 && p.GC == nil && p.Memory == nil && p.Container == "" && p.Pod == "" && p.Limits == nil {
		return nil
	}
	return p
}

func timeOf(text string) *time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil
	}
	return &t
}

func (b *buildJSON) print(line func(name, format string, args ...any)) {
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

func (p *processJSON) print(line func(name, format string, args ...any)) {
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
	line("pod", "%s", p.Pod)
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
