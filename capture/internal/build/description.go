package build

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/memlimit"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/format/vmcoreinfo"
)

// descriptionNotes describe the program and its process: the build information,
// counters of the kernel and the Go runtime, and the vmcoreinfo. They have this
// project's names, because tools take a core with a note called VMCOREINFO for
// a kernel's.
func descriptionNotes(s *model.Snapshot, regions []note.Region, r Record) []elfcore.Note {
	var notes []elfcore.Note
	add := func(name, text string) {
		if text != "" {
			notes = append(notes, ourNote(note.TypeExtra, (&note.Extra{Name: name, Data: []byte(text)}).Encode()))
		}
	}
	add(note.ExtraBuildInfo, s.Identity.Build.Info)
	add(note.ExtraProcess, processText(s))
	if s.Identity.GoVersion != "" {
		add(note.ExtraVMCoreInfo, vmcoreinfoText(s, regions, r))
	}
	return notes
}

// processText has a line for each known fact about the process.
func processText(s *model.Snapshot) string {
	var t vmcoreinfo.Text
	field := func(key, value string) {
		if value != "" {
			t.Field(key, value)
		}
	}
	bytes := func(key string, n uint64) {
		if n > 0 {
			t.Field(key, strconv.FormatUint(n, 10))
		}
	}
	at := func(key string, when time.Time) {
		if !when.IsZero() {
			t.Field(key, when.UTC().Format(time.RFC3339Nano))
		}
	}
	h, c := &s.Identity.Host, &s.Counters
	at("STARTED", h.Started)
	bytes("RESIDENT", h.Resident)
	bytes("PEAK", h.Peak)
	for _, l := range h.Place.Lines() {
		field(l.Key, l.Value)
	}
	for _, l := range h.Limits {
		field("CGROUP."+l.Name, l.Value)
	}
	bytes("GOMAXPROCS", uint64(c.MaxProcs))
	if c.GC != nil {
		t.Field("GCCYCLES", strconv.FormatUint(uint64(c.GC.Cycles), 10))
		t.Field("GCFORCED", strconv.FormatUint(uint64(c.GC.Forced), 10))
		t.Field("GCPAUSED", strconv.FormatInt(int64(c.GC.Paused), 10))
		at("GCLAST", c.GC.Last)
	}
	if c.Heap != nil {
		t.Field("GOGC", strconv.Itoa(int(c.Heap.Percent)))
		if c.Heap.Limit != memlimit.None {
			t.Field("GOMEMLIMIT", strconv.FormatInt(c.Heap.Limit, 10))
		}
		bytes("HEAPLIVE", c.Heap.Live)
		bytes("HEAPINUSE", c.Heap.InUse)
		bytes("HEAPRELEASED", c.Heap.Released)
		bytes("GOMAPPED", c.Heap.Mapped)
	}
	return string(t.Bytes())
}

// vmcoreinfoText returns the content of the VMCOREINFO note of cores that
// programs write of themselves.
func vmcoreinfoText(s *model.Snapshot, regions []note.Region, r Record) string {
	id := &s.Identity
	var t vmcoreinfo.Text
	field := func(key, value string) {
		if value != "" {
			t.Field(key, value)
		}
	}
	field("OSRELEASE", r.Kernel)
	field("BUILD-ID", id.GNUBuildID)
	field("GOBUILDID", id.BuildID)
	field("PAGESIZE", "4096")
	field("GOVERSION", id.GoVersion)
	field("GOOS", "linux")
	field("GOARCH", elfcore.MachineName(id.Machine))
	field("PACKAGE", id.Main)
	field("MODULE", id.Module)
	seen := map[string]bool{}
	for i := range regions {
		// Regions registered at run time are not symbols; the table of regions lists
		// them.
		name := regions[i].Package + "." + regions[i].Expr
		if regions[i].Addr == 0 || regions[i].Package == "" || regions[i].Expr == "" || seen[name] {
			continue
		}
		seen[name] = true
		t.Symbol(name, regions[i].Addr)
		if elem := s.Regions[i].Elem; elem != nil && elem.Kind == gotypes.Array && s.Regions[i].Count == 1 {
			t.Length(name, elem.Len)
		}
	}
	lines := append(slices.Clone(id.Layouts), "")
	return string(t.Bytes()) + strings.Join(lines, "\n")
}
