//go:build linux

package acceptance

import (
	"debug/elf"
	"fmt"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

func loadProgram(t *testing.T) string {
	t.Helper()
	return build(t, "load", []string{"CGO_ENABLED=0"})
}

// A core of a thousand regions of a kilobyte describes each of them and is at
// most 5 % larger than the memory in it. The threads' registers do not count:
// how many threads there are and how large their state is depends on the machine.
func TestManyRegions(t *testing.T) {
	p := start(t, loadProgram(t), "regions", "1000")
	path, summary := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways})
	core := openCore(t, path)
	registers := registerBytes(core.Notes)
	if registers == 0 || registers >= summary.Bytes {
		t.Fatalf("%d bytes of registers in a core of %d", registers, summary.Bytes)
	}
	if over := float64(summary.Bytes-registers)/float64(summary.Payload) - 1; over > 0.05 {
		t.Errorf("%d bytes, and %d of registers, for %d of memory: %.1f %% more", summary.Bytes-registers, registers, summary.Payload, 100*over)
	}
	named := map[string]bool{}
	for _, r := range core.Regions {
		if r.Size == 1<<10 && r.Captured == r.Size && r.Type == "uint8" {
			named[r.Name] = true
		}
	}
	for i := range 1000 {
		if name := fmt.Sprint("region", i); !named[name] {
			t.Errorf("the core has no region %s, or not all of it", name)
		}
	}
}

// registerBytes returns how many bytes of a core the notes of its threads take.
func registerBytes(notes []elfcore.Note) (n int64) {
	for _, note := range notes {
		switch note.Type {
		case elfcore.NTPrStatus, elfcore.NTFPRegSet, elfcore.NTX86State, elfcore.NTARMTLS:
			n += int64(len(elfcore.AppendNote(nil, note)))
		}
	}
	return n
}

// With more segments, a core of many goroutines is smaller.
func TestMoreSegments(t *testing.T) {
	p := start(t, loadProgram(t), "goroutines", "3000")
	_, few := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways})
	_, many := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways, Segments: 8000})
	if few.Segments > capture.DefaultSegments+1 || // and the headers
		many.Segments <= few.Segments || many.Bytes > few.Bytes*3/4 {
		t.Errorf("%d segments are %d bytes, %d are %d", few.Segments, few.Bytes, many.Segments, many.Bytes)
	}
}

// The command has no code that finds methods by their names, such as text/template. With it
// the linker keeps every method of every type: a fifth more, in each image that contains the
// command.
func TestUnusedMethods(t *testing.T) {
	symbols := symbolsOf(t, tool(t))
	has := func(name string) bool {
		return slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == name })
	}
	if !has("reflect.Value.Field") {
		t.Error("the symbols do not have what the command uses")
	}
	for _, name := range []string{"reflect.Value.Method", "reflect.Value.MethodByName", "reflect.(*rtype).Method", "reflect.(*rtype).MethodByName"} {
		if has(name) {
			t.Errorf("the command contains %s: go build -ldflags=-dumpdep tells what refers to it", name)
		}
	}
}
