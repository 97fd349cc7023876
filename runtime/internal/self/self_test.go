//go:build linux && (amd64 || arm64)

package self

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

var (
	initialised   = uint64(1)
	uninitialised uint64
)

// Both ways of reading memory find the same bytes and the same holes.
func TestReadMemoryFallback(t *testing.T) {
	var b [8]byte
	Read(b[:], 8) // looks for a filter
	defer noReadv.Store(noReadv.Load())
	for _, off := range []bool{false, true} {
		noReadv.Store(off)
		initialised = 42
		if n := Read(b[:], uint64(uintptr(unsafe.Pointer(&initialised)))); n != 8 || b[0] != 42 {
			t.Errorf("without the call %v: %d bytes, %v", off, n, b)
		}
		if n := Read(b[:], 8); n != 0 {
			t.Errorf("without the call %v: %d bytes at 8", off, n)
		}
		if noReadv.Load() != off {
			t.Error("a read at 8 forbids the call")
		}
	}
}

func TestInspect(t *testing.T) {
	p, err := Inspect()
	if err != nil {
		t.Fatal(err)
	}
	in := func(at uintptr, rs [][2]uint64) bool {
		for _, r := range rs {
			if uint64(at) >= r[0] && uint64(at) < r[1] {
				return true
			}
		}
		return false
	}
	var data, code [][2]uint64
	for _, r := range p.Writable {
		data = append(data, [2]uint64{r.Start, r.End})
	}
	for _, r := range p.Text {
		code = append(code, [2]uint64{r.Start, r.End})
	}
	if !in(uintptr(unsafe.Pointer(&initialised)), data) {
		t.Errorf("%p is not in %#x", &initialised, data)
	}
	pc, _, _, _ := runtime.Caller(0)
	if !in(pc, code) {
		t.Errorf("%#x is not in %#x", pc, code)
	}
	text, etext, pclntab := Bounds()
	if pc < text || pc >= etext || pclntab == 0 {
		t.Errorf("text %#x to %#x, this function at %#x, pc-line table at %#x", text, etext, pc, pclntab)
	}
	// Every pc-line table since Go 1.20 begins like this.
	var head [4]byte
	if Read(head[:], uint64(pclntab)); head != [4]byte{0xf1, 0xff, 0xff, 0xff} {
		t.Errorf("the pc-line table begins %x", head)
	}
	for _, at := range []unsafe.Pointer{unsafe.Pointer(&initialised), unsafe.Pointer(&uninitialised), unsafe.Pointer(&noReadv), unsafe.Pointer(&loaded)} {
		one := elfcore.Range{Start: uint64(uintptr(at)), End: uint64(uintptr(at)) + 1}
		if len(elfcore.Overlapping(GoVariables(), one)) != 1 {
			t.Errorf("a variable at %p, Go's are in %#x", at, GoVariables())
		}
	}
	if p.BuildIDs.Go == "" || p.Kernel == "" || !strings.HasSuffix(p.Path, ".test") || len(p.Files) == 0 {
		t.Errorf("%+v", p)
	}
}
