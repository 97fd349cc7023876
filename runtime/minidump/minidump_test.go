//go:build linux && (amd64 || arm64) && !meminspect_off

package minidump

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/minidump"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/internal/self"
)

// read reads the file as firmware does: the regions, and the rest of their
// array.
func read(t *testing.T, toc *Table, path string) (regions []minidump.Region, rest []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := minidump.ParseGlobal(b)
	if err != nil {
		t.Fatal(err)
	}
	at := s.Address - uint64(uintptr(unsafe.Pointer(&toc.file.Bytes[0])))
	rest = b[at:][:toc.max*minidump.RegionSize]
	for range s.Count {
		if r := minidump.ParseRegion(rest); r.Valid {
			regions = append(regions, r)
		}
		rest = rest[minidump.RegionSize:]
	}
	return regions, rest
}

// core does the work of an agent and of cat with a table.
func core(t *testing.T, toc *Table, path string) *elfcore.File {
	t.Helper()
	var file []byte
	regions, _ := read(t, toc, path)
	for _, r := range regions {
		b := make([]byte, r.Size)
		if n := self.Read(b, r.Address); n != len(b) {
			t.Fatalf("%s: %d of %d bytes", r.Name, n, len(b))
		}
		file = append(file, b...)
	}
	f, err := elfcore.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil || f.Missing() != 0 {
		t.Fatalf("%d regions are no core: %v", len(regions), err)
	}
	return f
}

// A table frozen after any store gives the core of before the change or of
// after it, by plain concatenation.
func TestFrozenAtEveryStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "toc")
	toc, err := Open(path, Regions(64))
	if err != nil {
		t.Fatal(err)
	}
	defer toc.Close()
	var x [8]uint64
	for i := range x {
		x[i] = 0x1111111111111111 * uint64(i+1)
	}
	// state returns the values of x in the core.
	state := func() string {
		f := core(t, toc, path)
		desc, _ := f.Note(note.Owner, note.TypeRegions)
		regions, err := note.DecodeRegions(desc)
		if err != nil {
			t.Fatal(err)
		}
		info, ok := f.Note(elfcore.VMCoreInfoNote(nil).Name, elfcore.VMCoreInfoNote(nil).Type)
		if !ok {
			t.Fatal("no vmcoreinfo")
		}
		var out []string
		for _, r := range regions {
			if !strings.HasPrefix(r.Name, "x") {
				continue
			}
			var b [8]byte
			if _, err := f.ReadMemory(r.Addr, b[:]); err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(info, []byte("SYMBOL("+r.Name+")=")) {
				t.Errorf("vmcoreinfo has no symbol %s", r.Name)
			}
			out = append(out, fmt.Sprintf("%s=%x", r.Name, b[0]))
		}
		return strings.Join(out, " ")
	}
	stores, before := 0, state()
	var seen []string
	toc.stored = func() {
		stores++
		if s := state(); len(seen) == 0 || seen[len(seen)-1] != s {
			seen = append(seen, s)
		}
	}
	change := func(what string, do func() error) {
		t.Helper()
		seen = nil
		if err := do(); err != nil {
			t.Fatal(err)
		}
		after := state()
		for _, s := range seen {
			if s != before && s != after {
				t.Errorf("%s: frozen, it shows %q, neither %q nor %q", what, s, before, after)
			}
		}
		if len(seen) != 2 {
			t.Errorf("%s: %d states: %q", what, len(seen), seen)
		}
		before = after
	}
	var ids []meminspect.ID
	for i := range x {
		change("register", func() error {
			id, err := meminspect.Register(meminspect.IDDynamic, &x[i], meminspect.Name(fmt.Sprint("x", i)))
			ids = append(ids, id)
			return err
		})
	}
	for _, i := range []int{3, 7, 0, 5, 1, 2, 6, 4} {
		change("unregister", func() error { return meminspect.Unregister(ids[i]) })
	}
	if stores < 16*6 { // two heads, a cleared tail and three words for each change
		t.Errorf("looked after %d stores", stores)
	}
}

// Unnamed regions get numbers, so that their files sort in order of
// registration.
func TestUnnamedRegions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "toc")
	toc, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer toc.Close()
	var x [12]int32
	for i := range x {
		id, err := meminspect.Register(meminspect.IDDynamic, &x[i])
		if err != nil {
			t.Fatal(err)
		}
		defer meminspect.Unregister(id)
	}
	regions, _ := read(t, toc, path)
	var files []string
	for _, r := range regions[len(regions)-len(x):] {
		files = append(files, minidump.FileName(&r))
	}
	if !slices.IsSorted(files) {
		t.Errorf("%q", files)
	}
}

// Regions are named and numbered as the driver does. When one is removed, the
// later ones move up, with their numbers, and the last slot is cleared.
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
	before, _ := read(t, toc, path)
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
	got, _ := read(t, toc, path)
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
	got, rest := read(t, toc, path)
	if fmt.Sprint(got[len(before):]) != fmt.Sprint([]minidump.Region{want[0], want[2]}) {
		t.Errorf("after one went: %+v", got[len(before):])
	}
	for i, c := range rest {
		if c != 0 {
			t.Fatalf("byte %d after the last region is %#x", i, c)
		}
	}
	if got[0].Size%4 != 0 || got[0].Size == before[0].Size {
		t.Errorf("the head has %d bytes, before two more regions %d", got[0].Size, before[0].Size)
	}
}

// The default limit is 201 regions; the error for a region that does not fit
// names it.
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
	if regions, _ := read(t, toc, path); len(regions) != minidump.MaxRegions {
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
	if regions, _ := read(t, larger, path); len(regions) < 302 {
		t.Errorf("%d regions in a larger table", len(regions))
	}
	if _, err := Open(filepath.Join(t.TempDir(), "toc"), Regions(2)); err == nil {
		t.Error("a table with no room was opened")
	}
}

// Registering n regions takes stores and memory in proportion to n.
func TestRegisterIsLinear(t *testing.T) {
	work := func(n int) (int, uint64) {
		toc, err := Open(filepath.Join(t.TempDir(), "toc"), Regions(n+16))
		if err != nil {
			t.Fatal(err)
		}
		defer toc.Close()
		stores := 0
		toc.stored = func() { stores++ }
		mem := make([]int64, n)
		ids := make([]meminspect.ID, 0, n)
		defer func() { meminspect.UnregisterAll(ids...) }()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range mem {
			id, err := meminspect.Register(meminspect.IDDynamic, &mem[i], meminspect.Name("region"))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		runtime.ReadMemStats(&after)
		return stores, after.TotalAlloc - before.TotalAlloc
	}
	const few, many = 250, 2000
	fewStores, fewBytes := work(few)
	manyStores, manyBytes := work(many)
	if most := 2 * many / few; manyStores > most*fewStores || manyBytes > uint64(most)*fewBytes {
		t.Errorf("%d regions took %d stores and %d bytes, %d took %d and %d", few, fewStores, fewBytes, many, manyStores, manyBytes)
	}
}

// BenchmarkRegister measures one registration in a table of n regions: the time
// is the same for any n.
func BenchmarkRegister(b *testing.B) {
	for _, n := range []int{250, 500, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			toc, err := Open(filepath.Join(b.TempDir(), "toc"), Regions(n+16))
			if err != nil {
				b.Fatal(err)
			}
			defer toc.Close()
			mem := make([][]int64, n)
			for i := range mem {
				mem[i] = make([]int64, 4)
			}
			b.ResetTimer()
			for range b.N {
				ids := make([]meminspect.ID, n)
				for i := range mem {
					id, err := meminspect.RegisterSlice(meminspect.IDDynamic, mem[i], meminspect.Name("region"))
					if err != nil {
						b.Fatal(err)
					}
					ids[i] = id
				}
				b.StopTimer()
				for _, id := range slices.Backward(ids) {
					if err := meminspect.Unregister(id); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/float64(b.N), "ns/region")
		})
	}
}
