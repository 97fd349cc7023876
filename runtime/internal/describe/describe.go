// Package describe describes the program in the format of the kernel's
// vmcoreinfo, for the cores and tables that the program writes about itself.
package describe

import (
	"iter"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/vmcoreinfo"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/self"
)

// Text returns the current description: constants, the tables' entries, layouts
// and numbers, and the registered regions. It omits what the format cannot
// express, such as a name with a line break.
func Text() []byte {
	t := Static()
	Symbols(t, func(yield func(Symbol) bool) {
		for r := range registry.Regions() {
			if !yield(SymbolOf(&r)) {
				return
			}
		}
	})
	return t.Bytes()
}

// Static returns the text without the regions.
func Static() *vmcoreinfo.Text {
	t := &vmcoreinfo.Text{}
	host(t)
	build(t)
	memory(t)
	runtimeLayouts(t, runtime.Version())
	for table := range registry.Tables() {
		tableLines(t, table)
	}
	return t
}

// Process returns facts about the program and its environment, one KEY=value
// per line: the names of its environment variables, their values only for those
// of package place, and its arguments if args is set.
func Process(args bool) []byte {
	var t vmcoreinfo.Text
	name, _ := os.Executable()
	t.Field("PROGRAM", name)
	t.Field("PID", strconv.Itoa(os.Getpid()))
	t.Field("STARTED", started.UTC().Format(time.RFC3339Nano))
	hostname, _ := os.Hostname()
	t.Field("HOSTNAME", hostname)
	t.Field("OSRELEASE", self.KernelRelease())
	for _, l := range whereItRuns().Lines() {
		t.Field(l.Key, l.Value)
	}
	t.Field("GOMAXPROCS", strconv.Itoa(runtime.GOMAXPROCS(0)))
	t.Field("NUMCPU", strconv.Itoa(runtime.NumCPU()))
	t.Field("GOMEMLIMIT", strconv.FormatInt(debug.SetMemoryLimit(-1), 10))
	t.Field("ENVIRONMENT", strings.Join(environment(), " "))
	if args {
		for i, arg := range os.Args {
			t.Field("ARG"+strconv.Itoa(i), strconv.Quote(arg))
		}
	}
	return t.Bytes()
}

// environment returns the names of the environment's variables, sorted.
func environment() []string {
	var names []string
	for _, entry := range os.Environ() {
		// Windows has names that begin with the equals sign.
		if i := strings.Index(entry[min(1, len(entry)):], "="); i >= 0 {
			names = append(names, entry[:i+1])
		}
	}
	sort.Strings(names)
	return names
}

var once sync.Once

// Register registers, once, the description as regions: the current text of
// vmcoreinfo, the build info and the process.
func Register() {
	once.Do(func() {
		info := "go\t" + runtime.Version() + "\n"
		if b, ok := debug.ReadBuildInfo(); ok {
			for i := range b.Settings {
				if b.Settings[i].Key == "-ldflags" { // they set variables to strings, which may be secret
					b.Settings[i].Value = "(left out)"
				}
			}
			info = b.String()
		}
		// This can only fail if the registry is full, which the program's own next
		// registration reports.
		_ = registry.AddBuiltin(anchor.IDBuildInfo, "buildinfo", []byte(info))
		_ = registry.AddBuiltin(anchor.IDProcess, "process", Process(false))
		_ = registry.AddBuiltin(anchor.IDVMCoreInfo, "vmcoreinfo", Text())
	})
}

func host(t *vmcoreinfo.Text) {
	t.Field("OSRELEASE", self.KernelRelease())
	if ids := self.ReadBuildIDs(); ids != (self.BuildIDs{}) {
		t.Field("BUILD-ID", ids.GNU)
		t.Field("GOBUILDID", ids.Go)
	}
	t.Field("PAGESIZE", strconv.Itoa(os.Getpagesize()))
}

func build(t *vmcoreinfo.Text) {
	t.Field("GOVERSION", runtime.Version())
	t.Field("GOOS", runtime.GOOS)
	t.Field("GOARCH", runtime.GOARCH)
	info := buildInfo()
	if info.GoVersion == "" {
		return
	}
	t.Field("PACKAGE", info.Path)
	t.Field("MODULE", module(&info.Main))
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs") {
			t.Field(strings.ToUpper(s.Key), s.Value)
		}
	}
}

func module(m *debug.Module) string {
	s := m.Path
	if m.Version != "" {
		s += "@" + m.Version
	}
	if m.Replace != nil {
		s += " => " + module(m.Replace)
	}
	return s
}

func memory(t *vmcoreinfo.Text) {
	text, etext, pclntab := self.Bounds()
	if text == 0 {
		return
	}
	t.Symbol("runtime.text", uint64(text))
	t.Symbol("runtime.etext", uint64(etext))
	t.Symbol("runtime.pclntab", uint64(pclntab))
}

func tableLines(t *vmcoreinfo.Text, table *registry.Table) {
	for i := range table.Layouts {
		l := &table.Layouts[i]
		name := table.Package + "." + l.Name
		t.Size(name, l.Size)
		for _, f := range l.Fields {
			t.Offset(name, f.Name, f.Offset)
		}
	}
	for _, n := range table.Numbers {
		t.Number(table.Package+"."+n.Name, n.Value)
	}
}

// A Symbol is the vmcoreinfo of a region.
type Symbol struct {
	Name   string
	Addr   uint64
	Length uint64 // elements of an array, else 0
}

// SymbolOf returns the symbol of a region, or for a part, of the region that it
// belongs to.
func SymbolOf(r *registry.Region) Symbol {
	if r.Of != nil {
		r = r.Of
	}
	s := Symbol{Name: r.Name, Addr: uint64(r.Addr())}
	if r.Package != "" {
		s.Name = r.Package + "." + r.Expr
	}
	if s.Name == "" {
		s.Name = registry.FormatID(r.ID)
	}
	if t := r.Type(); t != nil && t.Kind() == reflect.Array && r.Kind != anchor.SlotSlice {
		s.Length = uint64(t.Len())
	}
	return s
}

// Symbols appends a SYMBOL line, and for an array a LENGTH line, for each name.
// Readers use the last line of a name, so only its first region gets one.
func Symbols(t *vmcoreinfo.Text, symbols iter.Seq[Symbol]) {
	seen := map[string]bool{}
	for s := range symbols {
		if s.Addr == 0 || seen[s.Name] {
			continue
		}
		seen[s.Name] = true
		s.Put(t)
	}
}

// Put appends the lines of a symbol.
func (s Symbol) Put(t *vmcoreinfo.Text) {
	t.Symbol(s.Name, s.Addr)
	if s.Length > 0 {
		t.Length(s.Name, s.Length)
	}
}

// MainPackage returns the import path of the program's package main, "" for a
// program that was built without modules.
func MainPackage() string { return buildInfo().Path }

// parsed has the result of buildInfo.
var parsed atomic.Pointer[debug.BuildInfo]

// buildInfo returns the build info without the modules. It is empty in a program that was
// built without modules. The text is parsed once.
func buildInfo() *debug.BuildInfo {
	if known := parsed.Load(); known != nil {
		return known
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	info.Deps = nil
	parsed.Store(info)
	return info
}
