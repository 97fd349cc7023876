package walk_test

import (
	"context"
	"encoding/binary"
	"math/big"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// The hostile walks begin at these values: some of every kind, in this process.
type victim struct {
	Next   *victim
	Text   string
	Bytes  []byte
	List   []*victim
	Small  map[string]int
	Large  map[int]*victim
	Any    any
	Err    error
	Ch     chan string
	Fn     func()
	Atomic atomic.Pointer[victim]
	Sync   *sync.Map
	Big    *big.Int
	Array  [4]any
	secret secretText
}

type secretText struct{ key []byte }

func newVictim() *victim {
	v := &victim{
		Text: "text", Bytes: make([]byte, 1000), Small: map[string]int{"a": 1}, Large: map[int]*victim{},
		Ch: make(chan string, 3), Sync: new(sync.Map), Big: big.NewInt(1 << 60), Err: os.ErrNotExist,
		secret: secretText{[]byte("secret")},
	}
	v.Next, v.Any = v, v
	v.Fn = func() { v.Text += "more" }
	for i := range 300 {
		v.Large[i] = &victim{Text: "in a map", Any: i}
		v.List = append(v.List, v.Large[i])
		v.Sync.Store(i, v.Large[i])
	}
	v.Ch <- "sent"
	v.Atomic.Store(v.List[3])
	v.Array = [4]any{v.List, "two", 3, v.Small}
	return v
}

// A liar is memory with some wrong words: the fuzzer's seed selects them and
// their values. Wrong values depend on the address alone, so that a word always
// reads the same.
type liar struct {
	memory.Memory
	seed   uint64
	rate   uint64 // one word in so many is wrong
	values []uint64
	all    bool // also returns unmapped memory
}

func (l *liar) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := l.Memory.ReadAt(p, addr)
	if l.all && n < len(p) {
		for i := n; i < len(p); i++ {
			p[i] = byte(l.hash(uint64(addr) + uint64(i)))
		}
		n, err = len(p), nil
	}
	for i := int(-uint64(addr) & 7); i+8 <= n; i += 8 {
		if h := l.hash(uint64(addr) + uint64(i)); h%l.rate == 0 {
			binary.LittleEndian.PutUint64(p[i:], l.lie(h))
		}
	}
	return n, err
}

func (l *liar) hash(a uint64) uint64 {
	x := a ^ l.seed
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func (l *liar) lie(h uint64) uint64 {
	h = l.hash(h)
	switch h % 8 {
	case 0:
		return 0
	case 1:
		return h
	case 2:
		return h >> 40 // a plausible length
	case 3:
		return 1<<63 | h
	case 4:
		return h &^ 7 >> 17 // a plausible address
	}
	return l.values[h%uint64(len(l.values))] + h>>60*8 // near existing memory
}

// FuzzWalk: wrong memory, also in types, never makes the walk panic, run for
// long, or exceed its budget or its memory bounds.
func FuzzWalk(f *testing.F) {
	for _, rate := range []uint64{2, 7, 30, 100, 500, 3000} {
		for seed := range uint64(4) {
			f.Add(seed, rate, uint64(1<<20), seed%2 == 0)
		}
	}
	root := newVictim()
	self := kinds.Open(f, os.Getpid(), nil)
	iface := *(*[2]memory.Address)(unsafe.Pointer(&[]any{root}[0]))
	ptr, err := self.Types.At(iface[0])
	if err != nil {
		f.Fatal(err)
	}
	typ, err := ptr.Elem()
	if err != nil {
		f.Fatal(err)
	}
	honest, err := walk.Walk(f.Context(), walk.Config{Memory: self.Mem, Types: self.Types, Version: self.Prog.Version,
		Roots: []walk.Root{{Addr: iface[1], Type: typ, Depth: walk.Unlimited}}})
	if err != nil || honest.Roots[0].State != walk.Complete {
		f.Fatal(err, honest.Roots)
	}
	const here = "github.com/meminspect/meminspect/internal/walk_test"
	if typ.PkgPath != here {
		f.Fatalf("the victim's package is %q", typ.PkgPath)
	}
	var values []uint64
	for i := 0; i < len(honest.Captured()); i += 7 {
		values = append(values, uint64(honest.Captured()[i].Start)&^7)
	}
	for _, t := range honest.Types {
		values = append(values, uint64(t.Addr))
	}
	f.Fuzz(func(t *testing.T, seed, rate, budget uint64, everywhere bool) {
		mem := &liar{Memory: self.Mem, seed: seed, rate: max(rate, 2), values: values, all: everywhere}
		budget = budget%(4<<20) + 1
		cfg := walk.Config{Memory: mem, Types: gotypes.New(mem, self.Prog), Version: self.Prog.Version,
			Budget: budget, Steps: 100_000, Pages: 20_000,
			Roots:      []walk.Root{{Addr: iface[1], Type: typ, Depth: walk.Unlimited, Budget: budget/2 + 1}, {Addr: iface[1], Type: typ, Depth: 3}},
			Exclusions: []walk.Exclusion{{Kind: anchor.ExcludeGenericType, Package: here, Name: "secretText"}},
		}
		for _, field := range []string{"Large", "Any", "Ch", "Sync", "List", "Fn"}[:seed%7] {
			cfg.Exclusions = append(cfg.Exclusions, walk.Exclusion{Kind: anchor.ExcludeGenericField, Package: here, Name: "victim", Field: field})
		}
		if seed%3 == 0 {
			cfg.Exclusions = nil
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		res, err := walk.Walk(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("the walk took %v", d)
		}
		if alloc := after.TotalAlloc - before.TotalAlloc; alloc > 2<<30 {
			t.Errorf("the walk took %d MB", alloc>>20)
		}
		if size := res.Captured().Size(); size > budget {
			t.Errorf("%d bytes were captured, the budget is %d", size, budget)
		}
		if got := res.Roots[0].Bytes + res.Roots[1].Bytes; got < res.Captured().Size() {
			t.Errorf("the roots paid for %d bytes, %d were captured", got, res.Captured().Size())
		}
		if len(cfg.Exclusions) > 0 != res.Redactor.Active {
			t.Errorf("active %v with %d exclusions", res.Redactor.Active, len(cfg.Exclusions))
		}
	})
	runtime.KeepAlive(root)
}

// patched is memory with other bytes in one place.
type patched struct {
	memory.Memory
	at   memory.Address
	data []byte
}

func (p patched) ReadAt(b []byte, addr memory.Address) (int, error) {
	n, err := p.Memory.ReadAt(b, addr)
	for i := range n {
		if k := addr.Add(uint64(i)).Sub(p.at); k >= 0 && k < int64(len(p.data)) {
			b[i] = p.data[k]
		}
	}
	return n, err
}

// An excluded map that claims two million tables is searched for a bounded
// time, and the Redactor reports that there may be more.
func TestLyingMapThatIsExcluded(t *testing.T) {
	self := kinds.Open(t, os.Getpid(), nil)
	m := map[int]string{}
	for i := range 5000 {
		m[i] = "text"
	}
	root := rootOf(t, self.Types, &m, 3)
	header := *(*memory.Address)(unsafe.Pointer(&m))
	pair := **(**[2]uint64)(unsafe.Add(*(*unsafe.Pointer)(unsafe.Pointer(&m)), 16))
	const depth = 21
	tables := make([]uint64, 1<<depth)
	for i := range tables {
		tables[i] = pair[i%2]
	}
	var lie [24]byte // address, length and depth of the directory
	binary.LittleEndian.PutUint64(lie[:], uint64(uintptr(unsafe.Pointer(&tables[0]))))
	binary.LittleEndian.PutUint64(lie[8:], 1<<depth)
	lie[16] = depth
	res, err := walk.Walk(context.Background(), walk.Config{
		Memory: patched{self.Mem, header.Add(16), lie[:]}, Types: self.Types, Version: self.Prog.Version, Roots: []walk.Root{root},
		Exclusions: []walk.Exclusion{{Kind: anchor.ExcludeVariable, Addr: root.Addr, Type: root.Type}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.Redactor.Blind == 0 {
		t.Error("all of it is printed to have been looked at")
	}
	runtime.KeepAlive(tables)
}
