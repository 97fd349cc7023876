//go:build linux && (amd64 || arm64) && !meminspect_off

package coreimage

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/format/vmcoreinfo"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/self"
)

var (
	initialised = uint64(0x1122334455667788)
	zero        [5]uint32
	neighbours  struct{ A, B, C uint64 }
)

func register[T any](t *testing.T, p *T, opts ...meminspect.Option) meminspect.ID {
	t.Helper()
	id, err := meminspect.Register(meminspect.IDDynamic, p, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { meminspect.Unregister(id) })
	return id
}

func write(t *testing.T, opts ...Option) *elfcore.File {
	t.Helper()
	var buf bytes.Buffer
	if err := Write(&buf, opts...); err != nil {
		t.Fatal(err)
	}
	f, err := elfcore.Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if f.Missing() != 0 {
		t.Errorf("%d bytes are missing", f.Missing())
	}
	return f
}

func regionsOf(t *testing.T, f *elfcore.File) map[uint64]note.Region {
	t.Helper()
	desc, ok := f.Note(note.Owner, note.TypeRegions)
	if !ok {
		t.Fatal("no region table")
	}
	rs, err := note.DecodeRegions(desc)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[uint64]note.Region{}
	for _, r := range rs {
		byID[r.ID] = r
	}
	return byID
}

// The core contains registered memory, and marks its neighbours in data and
// bss.
func TestRegionsAndMarks(t *testing.T) {
	neighbours.A, neighbours.B, neighbours.C = 1, 2, 3
	initialised++
	id := register(t, &neighbours.B, meminspect.Name("B"))
	heap := new([3]uint64)
	heap[2] = 77
	hid := register(t, heap)
	for _, opts := range [][]Option{nil, {Strict()}, {Strict(), Data()}} {
		f := write(t, opts...)
		for _, c := range []struct {
			name string
			addr unsafe.Pointer
			want uint64
		}{
			{"region", unsafe.Pointer(&neighbours.B), 2},
			{"before it", unsafe.Pointer(&neighbours.A), 0xa5a5a5a5a5a5a5a5},
			{"after it", unsafe.Pointer(&neighbours.C), 0xa5a5a5a5a5a5a5a5},
			{"data", unsafe.Pointer(&initialised), 0xa5a5a5a5a5a5a5a5},
			{"bss", unsafe.Pointer(&zero[2]), 0xa5a5a5a5a5a5a5a5},
			{"heap", unsafe.Pointer(&heap[2]), 77},
		} {
			var b [8]byte
			if _, err := f.ReadMemory(uint64(uintptr(c.addr)), b[:]); err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else if got := *(*uint64)(unsafe.Pointer(&b)); got != c.want {
				t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
			}
			if marked := f.Find(uint64(uintptr(c.addr))).Marked(); marked != (c.want == 0xa5a5a5a5a5a5a5a5) {
				t.Errorf("%s: marked is %v", c.name, marked)
			}
		}
		rs := regionsOf(t, f)
		if r := rs[uint64(id)]; r.Status != note.Complete || r.Captured != 8 || r.Name != "B" || r.Type != "uint64" {
			t.Errorf("%+v", r)
		}
		if r := rs[uint64(hid)]; r.Status != note.Complete || r.Captured != 24 || r.Type != "[3]uint64" {
			t.Errorf("%+v", r)
		}
	}
}

// Data captures unannotated variables.
func TestData(t *testing.T) {
	zero[2] = 9
	f := write(t, Data())
	var b [4]byte
	if _, err := f.ReadMemory(uint64(uintptr(unsafe.Pointer(&zero[2]))), b[:]); err != nil || b[0] != 9 {
		t.Errorf("%v, %v", b, err)
	}
	for _, l := range f.Loads {
		if l.Marked() {
			t.Errorf("%d bytes at %#x are marked", l.MemSize, l.Addr)
		}
	}
}

// Unmapped memory is a hole in the core, not a fault in the program.
func TestUnreadableMemory(t *testing.T) {
	m, err := syscall.Mmap(-1, 0, 3*pageSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	m[pageSize-1], m[2*pageSize] = 1, 2
	base := uintptr(unsafe.Pointer(&m[0]))
	if _, _, errno := syscall.Syscall(syscall.SYS_MUNMAP, base+pageSize, pageSize, 0); errno != 0 {
		t.Fatal(errno)
	}
	id, err := meminspect.RegisterForeign(meminspect.IDDynamic, base+8, 3*pageSize-16)
	if err != nil {
		t.Fatal(err)
	}
	defer meminspect.Unregister(id)
	f := write(t)
	r := regionsOf(t, f)[uint64(id)]
	if r.Status != note.Holes || r.Captured != 2*pageSize-16 {
		t.Errorf("%v, %d bytes captured", r.Status, r.Captured)
	}
	b := make([]byte, 3*pageSize-16)
	if _, err := f.ReadMemory(uint64(base+8), b); err != nil {
		t.Fatal(err)
	}
	if b[pageSize-9] != 1 || b[2*pageSize-8] != 2 || b[pageSize-8] != elfcore.MarkByte {
		t.Errorf("around the hole: %#x %#x %#x", b[pageSize-9], b[2*pageSize-8], b[pageSize-8])
	}
}

// A region far larger than its memory, from a wrong size computation, costs
// neither time nor space: the core contains the part that exists.
func TestAbsentMemory(t *testing.T) {
	m, err := syscall.Mmap(-1, 0, 2*pageSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(m)
	m[0] = 7
	at := uintptr(unsafe.Pointer(&m[0]))
	gone, err := meminspect.RegisterForeign(meminspect.IDDynamic, 1<<32, 1<<30, meminspect.Name("gone"))
	if err != nil {
		t.Fatal(err)
	}
	defer meminspect.Unregister(gone)
	large, err := meminspect.RegisterForeign(meminspect.IDDynamic, at, 1<<62)
	if err != nil {
		t.Fatal(err)
	}
	defer meminspect.Unregister(large)
	f := write(t)
	regions := regionsOf(t, f)
	if r := regions[uint64(gone)]; r.Status != note.Unreadable || r.Captured != 0 {
		t.Errorf("%v, %d bytes captured", r.Status, r.Captured)
	}
	r := regions[uint64(large)]
	if r.Status&note.Holes == 0 || r.Captured < 2*pageSize || r.Captured > 1<<40 {
		t.Errorf("%v, %d bytes captured", r.Status, r.Captured)
	}
	var b [1]byte
	if _, err := f.ReadMemory(uint64(at), b[:]); err != nil || b[0] != 7 {
		t.Errorf("%d, %v", b[0], err)
	}
}

// A region that changes between its two readings is torn, or read again if it
// is small and settles. An unchanged one is complete. A region larger than one
// block is compared as a whole. All holds of memory that the program reads
// directly, and of memory that it reads through the kernel.
func TestTorn(t *testing.T) {
	const words = 1 << 18 // two blocks
	for _, c := range []struct {
		name  string
		bytes int
		moves int // number of readings that are followed by a change
		want  note.Status
	}{
		{"small, once", 100, 1, note.Complete},
		{"small, always", 100, 1 << 30, note.Torn},
		{"large, at its start", words * 8, 1, note.Torn},
		{"large, never", words * 8, 0, note.Complete},
	} {
		for _, mem := range [][]byte{make([]byte, c.bytes), mapped(t, c.bytes)} {
			still := new([100]byte)
			id, err := meminspect.RegisterSlice(meminspect.IDDynamic, mem)
			if err != nil {
				t.Fatal(err)
			}
			sid := register(t, still)
			core, err := plan(nil)
			if err != nil {
				t.Fatal(err)
			}
			start, moves, direct := uint64(uintptr(unsafe.Pointer(&mem[0]))), c.moves, 0
			move := func(addr uint64) {
				if addr == start && moves > 0 {
					moves--
					mem[0]++
				}
			}
			core.read = func(p []byte, addr uint64) int {
				n := self.Read(p, addr)
				move(addr)
				return n
			}
			core.direct = func(s *span, block elfcore.Range, use func([]byte)) bool {
				done := readDirectly(s, block, use)
				if done && block.Start == start {
					direct++
					move(block.Start)
				}
				return done
			}
			var buf bytes.Buffer
			if _, err := core.Write(&buf); err != nil {
				t.Fatal(err)
			}
			f, err := elfcore.Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
			if err != nil {
				t.Fatal(err)
			}
			rs := regionsOf(t, f)
			if r := rs[uint64(id)]; r.Status != c.want {
				t.Errorf("%s: %v, want %v", c.name, r.Status, c.want)
			}
			if r := rs[uint64(sid)]; r.Status != note.Complete {
				t.Errorf("%s: the region that is still is %v", c.name, r.Status)
			}
			if owned := registry.OnHeap(unsafe.Pointer(&mem[0])); (direct > 0) != (owned && mayReadDirectly) {
				t.Errorf("%s: %d direct readings; on the heap: %v", c.name, direct, owned)
			}
			meminspect.Unregister(id)
		}
	}
}

// mapped returns memory that the garbage collector does not know.
func mapped(t *testing.T, size int) []byte {
	t.Helper()
	m, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(m) })
	return m
}

// A core that was written keeps no memory of a region alive, and those that are written
// later use its buffers.
func TestMemoryIsDropped(t *testing.T) {
	type large [1 << 20]byte
	object := new(large)
	dropped := make(chan struct{})
	runtime.AddCleanup(object, func(done chan struct{}) { close(done) }, dropped)
	id := register(t, object)
	if err := Write(io.Discard); err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(object)
	meminspect.Unregister(id)
	runtime.GC()
	select {
	case <-dropped:
	case <-time.After(10 * time.Second):
		t.Error("the region is alive")
	}
}

// If memory that is read directly disappears, as a file does that becomes shorter, the
// kernel reads the rest, and the program goes on.
func TestDirectReadingFaults(t *testing.T) {
	for _, pages := range []int{2, 2 * blockSize / pageSize} { // one block, and several
		f, err := os.Create(filepath.Join(t.TempDir(), "pages"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		text := bytes.Repeat([]byte("page"), (pages-1)*pageSize/4)
		if _, err := f.Write(text); err != nil {
			t.Fatal(err)
		}
		m, err := syscall.Mmap(int(f.Fd()), 0, pages*pageSize, syscall.PROT_READ, syscall.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Munmap(m) }()
		start := uint64(uintptr(unsafe.Pointer(&m[0])))
		whole := elfcore.Range{Start: start, End: start + uint64(len(m))}
		c := &image{read: self.Read, direct: readDirectly, keys: newKeys(), a: make([]byte, blockSize)}
		var buf bytes.Buffer
		if err := c.copySpan(&buf, span{Range: whole, own: m}); err != nil {
			t.Fatal(err)
		}
		want := slices.Concat(text, bytes.Repeat([]byte{elfcore.MarkByte}, pageSize))
		if !bytes.Equal(buf.Bytes(), want) {
			t.Errorf("%d pages: the copy differs", pages)
		}
		if hole := (elfcore.Range{Start: whole.End - pageSize, End: whole.End}); !slices.Equal(elfcore.Merge(c.holes, 0), []elfcore.Range{hole}) || len(c.torn) > 0 {
			t.Errorf("%d pages: holes %v, torn %v", pages, c.holes, c.torn)
		}
	}
}

// A region's status follows from its values, not from its type: only what leads
// to other memory is missing.
func TestStatusOfValues(t *testing.T) {
	type node struct {
		ID   uint64
		Next *node
	}
	one := 1
	var stored, unset atomic.Pointer[int]
	stored.Store(&one)
	long := make([]node, 3*blockSize/unsafe.Sizeof(node{}))
	last := slices.Clone(long)
	last[len(last)-1].Next = &node{}
	for _, c := range []struct {
		name  string
		value meminspect.Spec
		want  note.Status
	}{
		{"number", values(1), note.Complete},
		{"nil pointer", values((*node)(nil)), note.Complete},
		{"pointer", values(&node{}), note.Depth},
		{"pointer to nothing", values(new(struct{})), note.Complete},
		{"nil field", values(node{ID: 1}), note.Complete},
		{"pointer in a field", values(node{Next: &node{}}), note.Depth},
		{"nil pointers in an array", values([3]node{}), note.Complete},
		{"pointer in an array", values([3]node{2: {Next: &node{}}}), note.Depth},
		{"pointer in an element", values(node{}, node{Next: &node{}}), note.Depth},
		{"empty string", values(""), note.Complete},
		{"string", values("text"), note.Depth},
		{"nil slice", values([]int(nil)), note.Complete},
		{"empty slice with a capacity", values(make([]int, 0, 5)), note.Complete},
		{"slice", values([]int{1}), note.Depth},
		{"slice of nothing", values(make([]struct{}, 5)), note.Complete},
		{"nil interface", values(any(nil)), note.Complete},
		{"nil pointer in an interface", values(any((*int)(nil))), note.Complete},
		{"interface", values(any(one)), note.Depth},
		{"nil map", values(map[int]int(nil)), note.Complete},
		{"map", values(map[int]int{}), note.Depth},
		{"nil channel", values(chan int(nil)), note.Complete},
		{"channel", values(make(chan int)), note.Depth},
		{"nil function", values((func())(nil)), note.Complete},
		{"function", values(func() {}), note.Depth},
		{"nil unsafe pointer", values(unsafe.Pointer(nil)), note.Complete},
		{"unsafe pointer", values(unsafe.Pointer(&one)), note.Untyped},
		{"unset atomic pointer", meminspect.Value(meminspect.IDDynamic, &unset), note.Complete},
		{"atomic pointer", meminspect.Value(meminspect.IDDynamic, &stored), note.Depth},
		{"long slice that leads nowhere", meminspect.Elements(meminspect.IDDynamic, long), note.Complete},
		{"last element of a long slice", meminspect.Elements(meminspect.IDDynamic, last), note.Depth},
	} {
		ids, err := meminspect.RegisterAll(c.value)
		if err != nil {
			t.Fatal(err)
		}
		if r := regionsOf(t, write(t, Strict()))[uint64(ids[0])]; r.Status != c.want {
			t.Errorf("%s: %v, want %v", c.name, r.Status, c.want)
		}
		meminspect.Unregister(ids[0])
	}
}

func values[T any](v ...T) meminspect.Spec { return meminspect.Elements(meminspect.IDDynamic, v) }

func TestNotes(t *testing.T) {
	register(t, &initialised, meminspect.Name("initialised"))
	f := write(t, Why("a test"))
	desc, _ := f.Note(elfcore.OwnerCore, elfcore.NTPrStatus)
	th, err := elfcore.ParseThread(desc)
	if err != nil || int(th.PPID) != os.Getppid() {
		t.Errorf("%+v, %v", th, err)
	}
	desc, _ = f.Note(elfcore.OwnerCore, elfcore.NTPrPsInfo)
	if p, err := elfcore.ParseProcess(desc); err != nil || int(p.PID) != os.Getpid() || strings.Contains(p.Args, "-test") {
		t.Errorf("%+v, %v", p, err)
	}
	desc, _ = f.Note(elfcore.OwnerCore, elfcore.NTFile)
	if ms, err := elfcore.ParseFiles(desc); err != nil || len(ms) == 0 {
		t.Errorf("%+v, %v", ms, err)
	}
	desc, _ = f.Note(note.Owner, note.TypeCapture)
	if c, err := note.DecodeCapture(desc); err != nil || c.Why != "a test" || c.PID != os.Getpid() || c.BuildID == "" {
		t.Errorf("%+v, %v", c, err)
	}
	desc, _ = f.Note(elfcore.OwnerVMCoreInfo, elfcore.NTVMCoreInfo)
	if v, err := vmcoreinfo.Parse(desc); err != nil || v.Symbols["initialised"] != uint64(uintptr(unsafe.Pointer(&initialised))) {
		t.Errorf("%+v, %v", v, err)
	}
	if desc, _ := write(t, Args()).Note(elfcore.OwnerCore, elfcore.NTPrPsInfo); !bytes.Contains(desc, []byte("-test")) {
		t.Error("Args() did not store the command line")
	}
}

// Write returns the error of a failing writer. WriteFile then leaves no file
// and no temporary file, and does not touch an existing one.
func TestFailures(t *testing.T) {
	register(t, &initialised)
	boom := errors.New("boom")
	if err := Write(&failing{after: 100, err: boom}); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "core")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}

	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	small := limit
	small.Cur = 1000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	err := WriteFile(path)
	if e := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); e != nil {
		t.Fatal(e)
	}
	if !errors.Is(err, ErrNoRoom) {
		t.Errorf("under RLIMIT_FSIZE: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("the old file is now %q", b)
	}
	if err := WriteFile(filepath.Join(dir, "no", "core")); err == nil {
		t.Error("written into a directory that is not there")
	}
	if err := WriteFile(path); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("%v are left in the directory", names)
	}
}

type failing struct {
	after int
	err   error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// BenchmarkWrite measures a core relative to copying the same bytes in the same
// run.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{1 << 20, 64 << 20} {
		b.Run(map[int]string{1 << 20: "1MB", 64 << 20: "64MB"}[size], func(b *testing.B) {
			mem, copied := make([]byte, size), make([]byte, size)
			for i := range mem {
				mem[i] = byte(i)
			}
			id, err := meminspect.RegisterSlice(meminspect.IDDynamic, mem)
			if err != nil {
				b.Fatal(err)
			}
			defer meminspect.Unregister(id)
			copy(copied, mem) // the first copy faults the pages in
			rounds := 1 << 28 / size
			start := time.Now()
			for range rounds {
				copy(copied, mem)
			}
			once := float64(time.Since(start)) / float64(rounds)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(io.Discard, Strict()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/once, "x-copy")
		})
	}
}
