package goobject

import (
	"iter"
	"math/bits"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// Slots is how many entries a group of a swiss map has room for, and a bucket.
// Each begins with as many control bytes.
const Slots = 8

// MapHeaderSize is how much of a map's header is decoded. Both kinds of maps
// have so many bytes in each release.
const MapHeaderSize = 48

// Offsets in a swiss map, internal/runtime/maps.Map, from Go 1.24 on.
const (
	swissUsed    = 0  // uint64
	swissDir     = 16 // pointer to one group, or to the directory of tables
	swissDirLen  = 24 // int; 0 = one group
	swissDepth   = 32 // uint8, log2 of the directory's length
	swissWriting = 34 // uint8, not 0 while the map is written
)

// Offsets in a table of a swiss map, internal/runtime/maps.table.
const (
	tableCapacity = 2  // uint16, slots
	tableIndex    = 8  // int, the first entry of the directory; -1 when the table was split
	tableMask     = 24 // uint64, number of groups less 1
	// TableGroups is where a table has the pointer to its groups.
	TableGroups = 16
	// TableSize is the size of a table.
	TableSize = 32
	// maxTableCapacity is the runtime's own, in all releases: a table that would
	// have more slots is split.
	maxTableCapacity = 1024
)

// emptyBit is set in the control byte of a slot that holds no entry.
const emptyBit = 0x80

// Offsets in a map with buckets, runtime.hmap.
const (
	bucketsCount = 0  // int
	bucketsFlags = 8  // uint8
	bucketsLog2  = 9  // uint8, log2 of the number of buckets
	bucketsNow   = 16 // pointer to the buckets
	bucketsOld   = 24 // pointer to the buckets of before the map grew, while entries move

	flagWriting      = 4
	flagSameSizeGrow = 8 // there are as many old buckets as new ones

	// minTopHash is the least top hash of a slot that holds an entry. Below are
	// the marks for empty slots, and for those whose entry has moved.
	minTopHash = 5
)

// A MapType decodes the maps of one type.
type MapType struct{ gotypes.MapLayout }

// MapOf returns the decoder for maps of type t.
func MapOf(t *gotypes.Type) (*MapType, error) {
	l, err := t.MapLayout()
	if err != nil {
		return nil, err
	}
	return newMapType(l)
}

func newMapType(l *gotypes.MapLayout) (*MapType, error) {
	m := &MapType{*l}
	if l.CtrlOff != 0 || l.Slots != Slots || l.Group.Size < Slots {
		return nil, unknown("%d control bytes at %d in a group of %d bytes", l.Slots, l.CtrlOff, l.Group.Size)
	}
	fits := func(off, stride, size uint64, indirect bool) bool {
		if indirect {
			size = memory.PtrSize
		}
		return off <= l.Group.Size && stride <= l.Group.Size && size <= l.Group.Size && off+(Slots-1)*stride+size <= l.Group.Size
	}
	if !fits(l.KeysOff, l.KeyStride, l.Key.Size, l.IndirectKey) || !fits(l.ElemsOff, l.ElemStride, l.Elem.Size, l.IndirectElem) ||
		!l.Swiss && !fits(l.Overflow, 0, memory.PtrSize, false) {
		return nil, unknown("slots that do not fit in a group of %d bytes", l.Group.Size)
	}
	return m, nil
}

// An ExtentKind is what an Extent consists of.
type ExtentKind uint8

// The kinds of extents.
const (
	Groups    ExtentKind = iota // of a swiss map or table
	Buckets                     // each of which may have others that continue it
	Directory                   // pointers to tables
)

// An Extent is a part of a map's storage: Count pieces of one size in a row.
type Extent struct {
	Kind  ExtentKind
	Addr  memory.Address
	Count uint64
}

// A MapHeader is a decoded header of a map.
type MapHeader struct {
	Count   uint64 // entries, by the map's own account
	Writing bool   // a goroutine was writing to the map: it may be inconsistent
	// Storage is what the header points at. A map with buckets that grows has
	// two extents, an empty map has none.
	Storage []Extent
}

// Header decodes the MapHeaderSize bytes of a map's header. Count and Writing
// are set also with an error.
func (m *MapType) Header(b []byte) (MapHeader, error) {
	if m.Swiss {
		return m.swissHeader(b)
	}
	return m.bucketsHeader(b)
}

func (m *MapType) swissHeader(b []byte) (MapHeader, error) {
	h := MapHeader{Count: le.Uint64(b[swissUsed:]), Writing: b[swissWriting] != 0}
	dir, length, depth := Pointer(b[swissDir:]), le.Uint64(b[swissDirLen:]), b[swissDepth]
	switch {
	case length == 0 && dir == 0:
		if h.Count != 0 {
			return h, inconsistent("%d entries and no group", h.Count)
		}
		return h, nil
	case length == 0:
		if h.Count > Slots || !stored(dir, 1, m.Group.Size) {
			return h, inconsistent("%d entries in the group at %v", h.Count, dir)
		}
		h.Storage = []Extent{{Groups, dir, 1}}
		return h, nil
	case length != 1<<depth || !stored(dir, length, memory.PtrSize):
		return h, inconsistent("a directory of %d tables, depth %d, at %v", length, depth, dir)
	}
	h.Storage = []Extent{{Directory, dir, length}}
	return h, nil
}

func (m *MapType) bucketsHeader(b []byte) (MapHeader, error) {
	flags, log2 := b[bucketsFlags], b[bucketsLog2]
	h := MapHeader{Count: le.Uint64(b[bucketsCount:]), Writing: flags&flagWriting != 0}
	count := uint64(1) << log2 // 0 when log2 makes no sense
	if now := Pointer(b[bucketsNow:]); now != 0 {
		h.Storage = append(h.Storage, Extent{Buckets, now, count})
	}
	if old := Pointer(b[bucketsOld:]); old != 0 {
		n := count
		if flags&flagSameSizeGrow == 0 {
			n /= 2
		}
		h.Storage = append(h.Storage, Extent{Buckets, old, n})
	}
	for _, e := range h.Storage {
		if e.Count == 0 || !stored(e.Addr, e.Count, m.Group.Size) {
			return MapHeader{Count: h.Count, Writing: h.Writing}, inconsistent("1<<%d buckets, flags %d, at %v", log2, flags, e.Addr)
		}
	}
	return h, nil
}

// IsStoragePointer reports whether the word at an offset in a map's header
// points at the map's storage.
func IsStoragePointer(l *gotypes.MapLayout, off uint64) bool {
	if l.Swiss {
		return off == swissDir
	}
	return off == bucketsNow || off == bucketsOld
}

// Table decodes the TableSize bytes of a swiss map's table.
func (m *MapType) Table(b []byte) (Extent, error) {
	capacity, index := uint64(le.Uint16(b[tableCapacity:])), int64(le.Uint64(b[tableIndex:]))
	groups, mask := Pointer(b[TableGroups:]), le.Uint64(b[tableMask:])
	n := mask + 1
	if n == 0 || n > maxTableCapacity/Slots || bits.OnesCount64(n) != 1 || n*Slots != capacity || index < 0 || !stored(groups, n, m.Group.Size) {
		return Extent{}, inconsistent("table %d of %d slots, %d groups at %v", index, capacity, n, groups)
	}
	return Extent{Groups, groups, n}, nil
}

// Live reports whether a slot with this control byte holds an entry.
func (m *MapType) Live(ctrl byte) bool {
	if m.Swiss {
		return ctrl&emptyBit == 0
	}
	return ctrl >= minTopHash
}

// KeyOffset returns where in a group the key of slot i is, or the pointer to
// it when IndirectKey is set.
func (m *MapType) KeyOffset(i uint64) uint64 { return m.KeysOff + i*m.KeyStride }

// ElemOffset returns where in a group the value of slot i is, or the pointer
// to it when IndirectElem is set.
func (m *MapType) ElemOffset(i uint64) uint64 { return m.ElemsOff + i*m.ElemStride }

// Next returns the bucket that continues a bucket, whose bytes b are; 0 when
// none does, and for groups of a swiss map.
func (m *MapType) Next(b []byte) memory.Address {
	if m.Swiss {
		return 0
	}
	return Pointer(b[m.Overflow:])
}

// A Piece is a part of a map's storage.
type Piece struct {
	Kind PieceKind
	memory.Range
	// Err is ErrUnreadable when what the piece leads to is not known; it then
	// is the part that cannot be read. Of a PieceTable it may wrap
	// ErrInconsistent. ErrLimit is in the last piece only, which has no range.
	Err error

	ctrl [Slots]byte // of a PieceGroup
}

// A PieceKind is the kind of a Piece.
type PieceKind uint8

// The kinds of pieces. The storage of a map is all of its pieces but for
// keys and values that slots point at.
const (
	PieceDirectory PieceKind = iota // the whole directory; with an Err one word of it
	PieceTable
	PieceExtent // all groups of a table, or all buckets but for those that continue others
	PieceGroup  // one group or bucket
)

// Entries returns the addresses in a PieceGroup of the key and the value of
// each entry, or of the pointers to them: see IndirectKey and IndirectElem.
// Other pieces have none.
func (m *MapType) Entries(p Piece) iter.Seq2[memory.Address, memory.Address] {
	return func(yield func(key, elem memory.Address) bool) {
		if p.Kind != PieceGroup || p.Err != nil {
			return
		}
		for i, ctrl := range p.ctrl {
			i := uint64(i)
			if m.Live(ctrl) && !yield(p.Start.Add(m.KeyOffset(i)), p.Start.Add(m.ElemOffset(i))) {
				return
			}
		}
	}
}

// Pieces reads the storage of the map whose header is h, in the order in which
// pointers lead to it. It visits no more than limit groups, buckets and
// entries of directories. After a piece with an error it goes on with the next.
func (m *MapType) Pieces(h MapHeader, read ReadFunc, limit int) iter.Seq[Piece] {
	return func(yield func(Piece) bool) {
		s := mapScan{m: m, read: read, left: limit, yield: yield}
		for _, e := range h.Storage {
			if !s.extent(e) {
				return
			}
		}
	}
}

// A mapScan is one call of Pieces. Its methods return false when it is over.
type mapScan struct {
	m     *MapType
	read  ReadFunc
	left  int
	yield func(Piece) bool
}

// step counts a part that is visited.
func (s *mapScan) step() bool {
	if s.left--; s.left < 0 {
		s.yield(Piece{Err: ErrLimit})
		return false
	}
	return true
}

func (s *mapScan) extent(e Extent) bool {
	if e.Kind == Directory {
		return s.directory(e)
	}
	whole := memory.RangeOf(e.Addr, size(e.Count, s.m.Group.Size))
	if !s.yield(Piece{Kind: PieceExtent, Range: whole}) {
		return false
	}
	for i := range e.Count {
		if !s.chain(e.Addr.Add(i * s.m.Group.Size)) {
			return false
		}
	}
	return true
}

func (s *mapScan) directory(e Extent) bool {
	if !s.yield(Piece{Kind: PieceDirectory, Range: memory.RangeOf(e.Addr, size(e.Count, memory.PtrSize))}) {
		return false
	}
	last := memory.Address(0)
	for i := range e.Count {
		if !s.step() {
			return false
		}
		at := e.Addr.Add(i * memory.PtrSize)
		table, ok := s.read.pointer(at)
		switch {
		case !ok:
			if !s.yield(Piece{Kind: PieceDirectory, Range: memory.RangeOf(at, memory.PtrSize), Err: ErrUnreadable}) {
				return false
			}
		case table != last: // a table of a lesser depth has several entries in a row
			if last = table; !s.table(table) {
				return false
			}
		}
	}
	return true
}

func (s *mapScan) table(addr memory.Address) bool {
	p := Piece{Kind: PieceTable, Range: memory.RangeOf(addr, TableSize)}
	b, ok := s.read(addr, TableSize)
	if !ok {
		p.Err = ErrUnreadable
		return s.yield(p)
	}
	groups, err := s.m.Table(b)
	if p.Err = err; !s.yield(p) {
		return false
	}
	return err != nil || s.extent(groups)
}

// chain visits a group, or a bucket and those that continue it.
func (s *mapScan) chain(addr memory.Address) bool {
	for addr != 0 {
		if !s.step() {
			return false
		}
		p := Piece{Kind: PieceGroup, Range: memory.RangeOf(addr, s.m.Group.Size)}
		ctrl, ok := s.read(addr, Slots)
		if ok {
			copy(p.ctrl[:], ctrl)
		} else {
			p.Err = ErrUnreadable
		}
		if !s.yield(p) {
			return false
		}
		if s.m.Swiss {
			return true
		}
		at := addr.Add(s.m.Overflow)
		if addr, ok = s.read.pointer(at); !ok {
			return s.yield(Piece{Kind: PieceGroup, Range: memory.RangeOf(at, memory.PtrSize), Err: ErrUnreadable})
		}
	}
	return true
}
