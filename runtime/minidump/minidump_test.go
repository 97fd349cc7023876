//go:build linux && (amd64 || arm64) && !meminspect_off

package minidump

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/minidump"
)

// table reads the file as firmware does: its regions, and the bytes behind the
// last.
func table(t *testing.T, path string) (regions []minidump.Region, behind []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := minidump.ParseGlobal(b)
	if err != nil {
		t.Fatal(err)
	}
	rest := b[regionsAt:]
	for range s.Count {
		regions = append(regions, minidump.ParseRegion(rest))
		rest = rest[minidump.RegionSize:]
	}
	return regions, rest
}

// Regions are named and numbered as the driver does; one that goes has the
// later ones move up, with their numbers, and the last place cleared.
func TestTable(t *testing.T) {
	var x [3]int64
	odd := []byte("12345")
	path := filepath.Join(t.TempDir(), "toc")
	toc, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := toc.Close(); err != nil {
			t.Error(err)
		}
	}()
	before, _ := table(t, path)
	if len(before) < 2 || before[0].Name != "KELF" || before[0].Sequence != 1 || before[1].Name != "Kvmcorein" || before[1].Sequence != 2 {
		t.Fatalf("%+v", before)
	}
	first := before[len(before)-1].Sequence + 1
	a, err1 := meminspect.Register(meminspect.IDDynamic, &x[0], meminspect.Name("a/name that is long"))
	b, err2 := meminspect.RegisterSlice(meminspect.IDDynamic, odd, meminspect.Name("odd"))
	c, err3 := meminspect.Register(meminspect.IDDynamic, &x[2], meminspect.Name("c"))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	defer meminspect.UnregisterAll(a, c)
	got, _ := table(t, path)
	at := func(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }
	want := []minidump.Region{
		{Name: "Ka_name_t", Sequence: first, Valid: true, Address: at(unsafe.Pointer(&x[0])), Size: 8},
		{Name: "Kodd", Sequence: first + 1, Valid: true, Address: at(unsafe.Pointer(&odd[0])), Size: 8},
		{Name: "Kc", Sequence: first + 2, Valid: true, Address: at(unsafe.Pointer(&x[2])), Size: 8},
	}
	if fmt.Sprint(got[len(before):]) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", got[len(before):], want)
	}
	if err := meminspect.Unregister(b); err != nil {
		t.Fatal(err)
	}
	got, behind := table(t, path)
	if fmt.Sprint(got[len(before):]) != fmt.Sprint([]minidump.Region{want[0], want[2]}) {
		t.Errorf("after one went: %+v", got[len(before):])
	}
	for i, c := range behind {
		if c != 0 {
			t.Fatalf("byte %d behind the last region is %#x", i, c)
		}
	}
	if got[0].Size%4 != 0 || got[0].Size == before[0].Size {
		t.Errorf("the head has %d bytes, before two more regions %d", got[0].Size, before[0].Size)
	}
}

// 201 regions unless more are asked for; what does not fit is refused by name.
func TestLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "toc")
	toc, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	mem := make([]int32, 300)
	var ids []meminspect.ID
	defer func() { meminspect.UnregisterAll(ids...) }()
	var refused []string
	stop := meminspect.Notify(func(e meminspect.Event) {
		if e.Err != nil {
			if refused = append(refused, e.Err.Error()); !errors.Is(e.Err, ErrFull) || !strings.HasPrefix(e.Region.Name, "n") {
				t.Errorf("%s: %v", e.Region.Name, e.Err)
			}
		}
	})
	defer stop()
	for i := range mem {
		id, err := meminspect.Register(meminspect.IDDynamic, &mem[i], meminspect.Name(fmt.Sprint("n", i)))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if regions, _ := table(t, path); len(regions) != minidump.MaxRegions {
		t.Errorf("%d regions", len(regions))
	}
	if len(refused) < 99 || !strings.Contains(refused[0], "201") {
		t.Errorf("%d were refused: %.200q", len(refused), refused)
	}
	if err := toc.Close(); err != nil {
		t.Error(err)
	}
	larger, err := Open(path, Regions(400))
	if err != nil {
		t.Fatal(err)
	}
	defer larger.Close()
	if regions, _ := table(t, path); len(regions) < 302 {
		t.Errorf("%d regions in a larger table", len(regions))
	}
	if _, err := Open(filepath.Join(t.TempDir(), "toc"), Regions(2)); err == nil {
		t.Error("a table with no room was opened")
	}
}
