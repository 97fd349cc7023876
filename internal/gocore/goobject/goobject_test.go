package goobject

import (
	"encoding/binary"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// base is where the memory of these tests begins.
const base = memory.Address(0x10000)

// An area is memory that a test makes by hand.
type area []byte

func (a area) word(addr memory.Address, v uint64) { binary.LittleEndian.PutUint64(a[addr-base:], v) }

func (a area) read(addr memory.Address, size uint64) ([]byte, bool) {
	return memory.Buffer{Base: base, Data: a}.View(addr, size)
}

// bytesOf returns the bytes at addr; a test that asks for others is wrong.
func (a area) bytesOf(addr memory.Address, size uint64) []byte {
	b, ok := a.read(addr, size)
	if !ok {
		panic("not in the area")
	}
	return b
}

var word = &gotypes.Type{Addr: 0x500000, Kind: gotypes.Int64, Size: 8, Align: 8, FieldAlign: 8}

// mapTypes returns the layouts of map[int64]int64 of all releases.
func mapTypes(tb testing.TB) map[string]*MapType {
	tb.Helper()
	group := func(size uint64) *gotypes.Type { return &gotypes.Type{Kind: gotypes.Struct, Size: size, Align: 8} }
	all := map[string]*MapType{}
	for name, l := range map[string]gotypes.MapLayout{
		"swiss":   {Swiss: true, Group: group(8 + 128), KeysOff: 8, KeyStride: 16, ElemsOff: 16, ElemStride: 16},
		"split":   {Swiss: true, Group: group(8 + 128), KeysOff: 8, KeyStride: 8, ElemsOff: 72, ElemStride: 8},
		"buckets": {Group: group(8 + 128 + 8), KeysOff: 8, KeyStride: 8, ElemsOff: 72, ElemStride: 8, Overflow: 136},
	} {
		l.Slots, l.Key, l.Elem = Slots, word, word
		m, err := newMapType(&l)
		if err != nil {
			tb.Fatal(err)
		}
		all[name] = m
	}
	return all
}

// A group of slots that do not fit into it is refused.
func TestSlotsOutsideOfTheGroup(t *testing.T) {
	for name, m := range mapTypes(t) {
		for what, change := range map[string]func(*gotypes.MapLayout){
			"keys":           func(l *gotypes.MapLayout) { l.KeysOff = l.Group.Size - 8*l.KeyStride + 16 },
			"a lying stride": func(l *gotypes.MapLayout) { l.ElemStride = 1 << 63 },
			"values":         func(l *gotypes.MapLayout) { l.Elem = &gotypes.Type{Size: 200} },
			"control bytes":  func(l *gotypes.MapLayout) { l.CtrlOff = 8 },
			"a small group":  func(l *gotypes.MapLayout) { l.Group = &gotypes.Type{Size: 4} },
		} {
			l := m.MapLayout
			change(&l)
			if _, err := newMapType(&l); !errors.Is(err, ErrUnknown) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

// swissHeaderOf returns a header of a swiss map.
func swissHeaderOf(used uint64, dir memory.Address, length uint64, depth, writing byte) []byte {
	a := make(area, MapHeaderSize)
	a.word(base+swissUsed, used)
	a.word(base+swissDir, uint64(dir))
	a.word(base+swissDirLen, length)
	a[swissDepth], a[swissWriting] = depth, writing
	return a
}

func bucketsHeaderOf(count uint64, flags, log2 byte, now, old memory.Address) []byte {
	a := make(area, MapHeaderSize)
	a.word(base+bucketsCount, count)
	a[bucketsFlags], a[bucketsLog2] = flags, log2
	a.word(base+bucketsNow, uint64(now))
	a.word(base+bucketsOld, uint64(old))
	return a
}

// Headers and tables are believed up to their bounds and not beyond: for
// capturing and reading alike, since both ask here.
func TestMapBounds(t *testing.T) {
	types := mapTypes(t)
	swiss, buckets := types["swiss"], types["buckets"]
	table := func(capacity uint16, groups memory.Address, mask uint64, index int64) []byte {
		a := make(area, TableSize)
		binary.LittleEndian.PutUint16(a[tableCapacity:], capacity)
		a.word(base+tableIndex, uint64(index))
		a.word(base+TableGroups, uint64(groups))
		a.word(base+tableMask, mask)
		return a
	}
	extents := func(h MapHeader, err error) ([]Extent, error) { return h.Storage, err }
	one := func(e Extent, err error) ([]Extent, error) { return []Extent{e}, err }
	for _, c := range []struct {
		name string
		got  func() ([]Extent, error)
		want []Extent // nil and no error for an empty map
		bad  bool
	}{
		{"empty", func() ([]Extent, error) { return extents(swiss.Header(swissHeaderOf(0, 0, 0, 0, 0))) }, nil, false},
		{"entries without a group", func() ([]Extent, error) { return extents(swiss.Header(swissHeaderOf(1, 0, 0, 0, 0))) }, nil, true},
		{"a full group", func() ([]Extent, error) { return extents(swiss.Header(swissHeaderOf(8, base, 0, 0, 0))) }, []Extent{{Groups, base, 1}}, false},
		{"a group too full", func() ([]Extent, error) { return extents(swiss.Header(swissHeaderOf(9, base, 0, 0, 0))) }, nil, true},
		{"a directory", func() ([]Extent, error) { return extents(swiss.Header(swissHeaderOf(9, base, 4, 2, 1))) }, []Extent{{Directory, base, 4}}, false},
		{"a directory of another depth", func() ([]Extent, error) { return extents(swiss.Header(swissHeaderOf(9, base, 4, 3, 0))) }, nil, true},
		{"two million tables", func() ([]Extent, error) { return extents(swiss.Header(swissHeaderOf(9, base, 1<<21, 21, 0))) }, []Extent{{Directory, base, 1 << 21}}, false},
		{"a directory of all memory", func() ([]Extent, error) { return extents(swiss.Header(swissHeaderOf(9, base, 1<<45, 45, 0))) }, nil, true},
		{"a depth of 64", func() ([]Extent, error) { return extents(swiss.Header(swissHeaderOf(9, base, 0, 64, 0))) }, nil, true},

		{"the least table", func() ([]Extent, error) { return one(swiss.Table(table(8, base, 0, 0))) }, []Extent{{Groups, base, 1}}, false},
		{"the largest table", func() ([]Extent, error) { return one(swiss.Table(table(1024, base, 127, 3))) }, []Extent{{Groups, base, 128}}, false},
		{"a larger table", func() ([]Extent, error) { return one(swiss.Table(table(2048, base, 255, 0))) }, nil, true},
		{"a table of another capacity", func() ([]Extent, error) { return one(swiss.Table(table(512, base, 127, 0))) }, nil, true},
		{"a table of three groups", func() ([]Extent, error) { return one(swiss.Table(table(24, base, 2, 0))) }, nil, true},
		{"a table that was split", func() ([]Extent, error) { return one(swiss.Table(table(8, base, 0, -1))) }, nil, true},
		{"a table of 1<<64 groups", func() ([]Extent, error) { return one(swiss.Table(table(0, base, 1<<64-1, 0))) }, nil, true},
		{"a table without groups", func() ([]Extent, error) { return one(swiss.Table(table(8, 0, 0, 0))) }, nil, true},

		{"no buckets", func() ([]Extent, error) { return extents(buckets.Header(bucketsHeaderOf(0, 0, 0, 0, 0))) }, nil, false},
		{"a bucket", func() ([]Extent, error) { return extents(buckets.Header(bucketsHeaderOf(1, 0, 0, base, 0))) }, []Extent{{Buckets, base, 1}}, false},
		{"growing", func() ([]Extent, error) { return extents(buckets.Header(bucketsHeaderOf(1, 0, 5, base, base+8))) }, []Extent{{Buckets, base, 32}, {Buckets, base + 8, 16}}, false},
		{"growing to the same size", func() ([]Extent, error) {
			return extents(buckets.Header(bucketsHeaderOf(1, flagSameSizeGrow, 5, base, base+8)))
		}, []Extent{{Buckets, base, 32}, {Buckets, base + 8, 32}}, false},
		{"growing from half a bucket", func() ([]Extent, error) { return extents(buckets.Header(bucketsHeaderOf(1, 0, 0, base, base+8))) }, nil, true},
		{"1<<33 buckets", func() ([]Extent, error) { return extents(buckets.Header(bucketsHeaderOf(1, 0, 33, base, 0))) }, []Extent{{Buckets, base, 1 << 33}}, false},
		{"1<<48 buckets", func() ([]Extent, error) { return extents(buckets.Header(bucketsHeaderOf(1, 0, 48, base, 0))) }, nil, true},
		{"1<<200 buckets", func() ([]Extent, error) { return extents(buckets.Header(bucketsHeaderOf(1, 0, 200, base, 0))) }, nil, true},
	} {
		got, err := c.got()
		if c.bad {
			if !errors.Is(err, ErrInconsistent) {
				t.Errorf("%s: %v, %v", c.name, got, err)
			}
			continue
		}
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
	}
	if h, _ := swiss.Header(swissHeaderOf(9, base, 4, 3, 1)); !h.Writing || h.Count != 9 {
		t.Errorf("a header that does not fit: %+v", h)
	}
	if h, _ := buckets.Header(bucketsHeaderOf(7, flagWriting, 0, 0, 0)); !h.Writing || h.Count != 7 {
		t.Errorf("buckets that are written to: %+v", h)
	}
}

// A map with buckets, which grows and overflows, has the entries of all of
// them but for those that have moved.
func TestBuckets(t *testing.T) {
	m := mapTypes(t)["buckets"]
	a := make(area, 0x1000)
	bucket := func(at memory.Address, next memory.Address, tops ...byte) {
		copy(a[at-base:], tops)
		for i := range uint64(Slots) {
			a.word(at.Add(m.KeyOffset(i)), uint64(at)+i)
		}
		a.word(at.Add(m.Overflow), uint64(next))
	}
	const now, old, more = base + 0x100, base + 0x400, base + 0x800
	bucket(now, more, 0, 200, 1)
	bucket(now+144, 0, 4, 4, 4)
	bucket(more, 0, 5)
	bucket(old, 0, 2, 3, 4, 99)
	h, err := m.Header(bucketsHeaderOf(3, 0, 1, now, old))
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for p := range m.Pieces(h, a.read, 100) {
		if p.Err != nil {
			t.Fatalf("%+v", p)
		}
		for key := range m.Entries(p) {
			got = append(got, binary.LittleEndian.Uint64(a.bytesOf(key, 8)))
		}
	}
	want := []uint64{uint64(now) + 1, uint64(more), uint64(old) + 3}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("keys %x, want %x", got, want)
	}
}

// checkPieces reads a map of any bytes and returns how many pieces it had.
func checkPieces(t interface {
	Helper()
	Fatalf(string, ...any)
}, m *MapType, header []byte, read ReadFunc) int {
	t.Helper()
	const limit = 500
	h, err := m.Header(header)
	if err != nil {
		if !errors.Is(err, ErrInconsistent) || len(h.Storage) > 0 {
			t.Fatalf("%+v, %v", h, err)
		}
		return 0
	}
	n, groups, over := 0, 0, false
	for p := range m.Pieces(h, read, limit) {
		n++
		switch {
		case over:
			t.Fatalf("a piece after the limit: %+v", p)
		case errors.Is(p.Err, ErrLimit):
			over = true
			continue
		case p.Empty(), p.End > AddressSpace && p.Err == nil:
			t.Fatalf("%+v", p)
		case p.Kind == PieceGroup:
			groups++
		}
		for key, elem := range m.Entries(p) {
			if !p.ContainsRange(memory.RangeOf(key, 8)) || !p.ContainsRange(memory.RangeOf(elem, 8)) {
				t.Fatalf("an entry at %v and %v of %v", key, elem, p.Range)
			}
		}
	}
	// A step may visit a table with its extent, and a bucket whose overflow
	// pointer cannot be read.
	if groups > 2*limit || n > 3*limit+3 {
		t.Fatalf("%d pieces, %d of them groups, limit %d", n, groups, limit)
	}
	return n
}

// FuzzMap: whatever a map's memory holds, reading it is bounded, stays within
// the address space, and finds entries within groups alone.
func FuzzMap(f *testing.F) {
	types := mapTypes(f)
	a := make(area, 0x800)
	copy(a, swissHeaderOf(9, base+0x40, 2, 1, 0))
	a.word(base+0x40, uint64(base)+0x80)
	a.word(base+0x48, uint64(base)+0x80)
	binary.LittleEndian.PutUint16(a[0x80+tableCapacity:], 8)
	a.word(base+0x80+TableGroups, uint64(base)+0x100)
	f.Add([]byte(a), uint8(0))
	f.Add([]byte(a), uint8(1))
	b := make(area, 0x800)
	copy(b, bucketsHeaderOf(3, 0, 1, base+0x100, base+0x400))
	b.word(base+0x100+136, uint64(base)+0x600)
	b.word(base+0x600+136, uint64(base)+0x600) // continues itself
	f.Add([]byte(b), uint8(2))
	for i, seed := range []struct {
		area
		name  string
		least int
	}{{a, "swiss", 4}, {b, "buckets", 500}} {
		if n := checkPieces(f, types[seed.name], seed.bytesOf(base, MapHeaderSize), seed.read); n < seed.least {
			f.Fatalf("seed %d has %d pieces", i, n)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, kind uint8) {
		if len(data) < MapHeaderSize {
			return
		}
		m := types[[]string{"swiss", "split", "buckets"}[kind%3]]
		checkPieces(t, m, data[:MapHeaderSize], area(data).read)
		if len(data) >= TableSize {
			if e, err := m.Table(data[:TableSize]); err == nil && (e.Count > maxTableCapacity/Slots || e.Kind != Groups) {
				t.Errorf("%+v", e)
			}
		}
	})
}

// versions are those whose channels differ.
var versions = map[string]struct {
	minor    int
	elemType memory.Address // offset of the element's type
}{
	"1.21": {21, 32}, "1.22": {22, 32}, "1.23": {23, 40}, "1.24": {24, 40}, "1.25": {25, 40}, "1.26": {26, 40}, "1.27": {27, 40},
}

// chanOf makes a channel of words at base: a buffer of four with values from
// index 3 on, and waiting senders one after the other from base+0x200 on.
func chanOf(l ChanLayout, elemType memory.Address, senders int) area {
	a := make(area, 0x1000)
	a.word(base+chanCount, 2)
	a.word(base+chanCap, 4)
	a.word(base+ChanBuf, uint64(base)+0x100)
	binary.LittleEndian.PutUint16(a[chanElemSize:], 8)
	a.word(base+elemType, uint64(word.Addr))
	a.word(base+elemType+chanSendIndex, 1)
	a.word(base+elemType+chanRecvIndex, 3)
	at, prev := base+0x200, memory.Address(0)
	if senders > 0 {
		a.word(base+elemType+chanSenders, uint64(at))
	}
	for i := range senders {
		a.word(at+sudogG, 0xc000)
		a.word(at+sudogPrev, uint64(prev))
		if i+1 < senders {
			a.word(at+sudogNext, uint64(at)+0x80)
		}
		a.word(at.Add(l.sudogElem), uint64(base)+0xf00+uint64(i)*8)
		a.word(at.Add(l.sudogChan), uint64(base))
		prev, at = at, at+0x80
	}
	return a
}

// Channels of every release have their values and their waiting senders.
func TestChanOfReleases(t *testing.T) {
	for name, v := range versions {
		l := ChanLayoutOf(module.Version{Minor: v.minor})
		a := chanOf(l, v.elemType, 3)
		c, err := l.Chan(a.bytesOf(base, l.Size), word)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.Len != 2 || c.Cap != 4 || c.Elem(0) != base+0x100+24 || c.Elem(1) != base+0x100 || c.Receivers != 0 {
			t.Errorf("%s: %+v", name, c)
		}
		n := memory.Address(0)
		for w, err := range l.Waiters(base, c.Senders, a.read, 10) {
			if err != nil || w.G != 0xc000 || w.Elem != base+0xf00+n*8 {
				t.Errorf("%s: sender %d: %+v, %v", name, n, w, err)
			}
			n++
		}
		if n != 3 {
			t.Errorf("%s: %d senders", name, n)
		}
	}
}

// A channel that does not fit its type or itself is refused, and a list of
// waiting goroutines ends where it does not fit.
func TestChansThatDoNotFit(t *testing.T) {
	l := ChanLayoutOf(module.Version{Minor: 26})
	const elemType = 40
	for what, change := range map[string]func(area){
		"another type":      func(a area) { a.word(base+elemType, 5) },
		"too many values":   func(a area) { a.word(base+chanCount, 5) },
		"another size":      func(a area) { a[chanElemSize] = 4 },
		"a first too far":   func(a area) { a.word(base+elemType+chanRecvIndex, 4) },
		"a next too far":    func(a area) { a.word(base+elemType+chanSendIndex, 1<<63) },
		"a buffer too long": func(a area) { a.word(base+chanCap, 1<<46) },
	} {
		a := chanOf(l, elemType, 0)
		change(a)
		if c, err := l.Chan(a.bytesOf(base, l.Size), word); !errors.Is(err, ErrInconsistent) {
			t.Errorf("%s: %+v, %v", what, c, err)
		}
	}
	const second = base + 0x280
	for what, c := range map[string]struct {
		change func(area)
		limit  int
		want   error
	}{
		"no goroutine":      {func(a area) { a.word(second+sudogG, 0) }, 10, ErrInconsistent},
		"another channel":   {func(a area) { a.word(second.Add(l.sudogChan), 8) }, 10, ErrInconsistent},
		"another previous":  {func(a area) { a.word(second+sudogPrev, 8) }, 10, ErrInconsistent},
		"a loop":            {func(a area) { a.word(second+sudogNext, uint64(base)+0x200) }, 10, ErrInconsistent},
		"an odd address":    {func(a area) { a.word(base+0x200+sudogNext, 3) }, 10, ErrInconsistent},
		"not in the memory": {func(a area) { a.word(base+0x200+sudogNext, 1<<40) }, 10, ErrUnreadable},
		"more than allowed": {func(area) {}, 1, ErrLimit},
	} {
		a := chanOf(l, elemType, 3)
		c.change(a)
		good, last := 0, error(nil)
		for _, err := range l.Waiters(base, base+0x200, a.read, c.limit) {
			if last = err; err == nil {
				good++
			}
		}
		if !errors.Is(last, c.want) || good < 1 || good > 2 {
			t.Errorf("%s: %d goroutines, then %v", what, good, last)
		}
	}
}

// FuzzChan: whatever a channel's memory holds, its values are in its buffer
// and its waiting goroutines are bounded and different.
func FuzzChan(f *testing.F) {
	for _, v := range versions {
		f.Add([]byte(chanOf(ChanLayoutOf(module.Version{Minor: v.minor}), v.elemType, 3)), uint8(v.minor))
	}
	f.Fuzz(func(t *testing.T, data []byte, minor uint8) {
		l := ChanLayoutOf(module.Version{Minor: int(minor)})
		if uint64(len(data)) < l.Size {
			return
		}
		a := area(data)
		c, err := l.Chan(a.bytesOf(base, l.Size), word)
		if err != nil {
			return
		}
		for i := range min(c.Len, 100) {
			if at := c.Elem(i); at < c.Buf || at >= c.Buf.Add(c.Cap*8) && at != 1<<64-1 {
				t.Fatalf("value %d at %v of %+v", i, at, c)
			}
		}
		seen := map[memory.Address]bool{}
		for w, err := range l.Waiters(base, c.Senders, a.read, 100) {
			if err != nil {
				continue
			}
			if seen[w.Start] || len(seen) == 100 {
				t.Fatalf("%v again, or more than 100", w.Start)
			}
			seen[w.Start] = true
		}
	})
}

// trie is that of sync.Map in all releases that have one.
var trie = &Trie{InnerSize: 160, Children: 32, Count: 16}

// trieArea makes a trie of a root at base with two entries of one hash as its
// third child, and one entry below an inner node as its last.
func trieArea() area {
	a := make(area, 0x800)
	child := func(node memory.Address, i uint64, to memory.Address) {
		a.word(node.Add(trie.Children+8*i), uint64(to))
	}
	child(base, 2, base+0x100)
	child(base, 15, base+0x200)
	child(base+0x200, 0, base+0x300)
	for _, entry := range []memory.Address{0x100, 0x180, 0x300} {
		a[entry] = 1
	}
	a.word(base+0x100+TrieEntryNext, uint64(base)+0x180)
	return a
}

// The nodes of a trie come parents first, in order, with all entries of one
// hash.
func TestTrie(t *testing.T) {
	var got []memory.Address
	for n := range trie.Nodes(base, trieArea().read, 100) {
		if n.Err != nil || n.Root != (n.Start == base) || n.Entry && n.Value != n.Key+16 {
			t.Errorf("%+v", n)
		}
		got = append(got, n.Start-base)
	}
	want := []memory.Address{0, 0x100, 0x180, 0x200, 0x300}
	if len(got) != len(want) {
		t.Fatalf("nodes at %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("nodes at %v, want %v", got, want)
		}
	}
}

// What is no node of a trie is reported and ends nothing else.
func TestTriesThatDoNotFit(t *testing.T) {
	for what, c := range map[string]struct {
		change func(area)
		want   error
	}{
		"a third kind":           {func(a area) { a[0x200] = 2 }, ErrInconsistent},
		"an inner node after":    {func(a area) { a[0x180] = 0 }, ErrInconsistent},
		"a child outside":        {func(a area) { a.word(base+0x200+32, 1<<40) }, ErrUnreadable},
		"its own grandchild":     {func(a area) { a.word(base+0x200+32, uint64(base)+0x200) }, ErrInconsistent},
		"an entry before itself": {func(a area) { a.word(base+0x180+TrieEntryNext, uint64(base)+0x100) }, ErrLimit},
	} {
		a := trieArea()
		c.change(a)
		failed := false
		for n := range trie.Nodes(base, a.read, 100) {
			failed = failed || errors.Is(n.Err, c.want)
		}
		if !failed {
			t.Errorf("%s: no node was %v", what, c.want)
		}
	}
}

// FuzzTrie: whatever a trie's memory holds, reading it is bounded.
func FuzzTrie(f *testing.F) {
	f.Add([]byte(trieArea()))
	f.Fuzz(func(t *testing.T, data []byte) {
		good, all := 0, 0
		for n := range trie.Nodes(base, area(data).read, 100) {
			if all++; n.Err == nil {
				good++
			}
		}
		if good > 100 || all > 100*(1+int(trie.Count))+1 {
			t.Errorf("%d nodes, %d of them good", all, good)
		}
	})
}

// Strings and slices that are believed lie within the address space.
func TestHeaders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 100), rapid.Uint64Range(AddressSpace-100, AddressSpace+100))
		a := make(area, SliceSize)
		for i := range memory.Address(3) {
			a.word(base+8*i, number.Draw(t, "word"))
		}
		if data, n, err := String(a); err == nil && n > 0 && (data == 0 || n > AddressSpace || data.Add(n) > AddressSpace) {
			t.Fatalf("a string of %d bytes at %v", n, data)
		}
		elem := rapid.Uint64Range(0, 1<<20).Draw(t, "elem")
		s, err := Slice(a, elem)
		if err != nil {
			return
		}
		if s.Len > s.Cap || elem > 0 && s.Cap > 0 && (s.Cap > AddressSpace/elem || s.Data.Add(s.Cap*elem) > AddressSpace) {
			t.Fatalf("%+v of %d bytes", s, elem)
		}
	})
}
