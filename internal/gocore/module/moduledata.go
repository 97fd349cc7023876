package module

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Module is one moduledata: the program's own, or a plugin's.
type Module struct {
	Addr     memory.Address // of the moduledata
	Bytes    uint64         // its size
	PCHeader memory.Address // of the pc-line table

	Text      memory.Range // text, etext
	NoPtrData memory.Range
	Data      memory.Range
	BSS       memory.Range
	NoPtrBSS  memory.Range
	End       memory.Address
	Types     memory.Range   // types, etypes; type offsets count from its start
	TypeDescs uint64         // from Go 1.27: bytes of type descriptors from Types.Start on, else 0
	TypeLinks memory.Slice   // until Go 1.26: offsets of types, else empty
	GoFunc    memory.Address // base of function data offsets
	ROData    memory.Address // base of the pointer masks' offsets in function data
	Next      memory.Address // the next module, 0 for the last
	HasMain   bool

	funcNames memory.Slice
	cuTab     memory.Slice
	fileTab   memory.Slice
	pcTab     memory.Slice
	pclnTable memory.Slice
	ftab      memory.Slice
	textSects memory.Slice
	minPC     memory.Address
	maxPC     memory.Address
	gcMasks   memory.Address // of gcdatamask; gcbssmask follows
}

// A Layout gives the offsets in a moduledata that differ between releases; the
// structure is runtime.moduledata in the runtime's symtab.go.
type Layout struct {
	types, etypes, typeDescLen int // typeDescLen 0: there is none
	gofunc                     int
	textSects                  int
	typeLinks                  int // 0: there are none
	hasMain                    int
	next                       int
	size                       int
}

// The offsets that all releases share.
const (
	mdPCHeader  = 0
	mdFuncNames = 8
	mdCUTab     = 32
	mdFileTab   = 56
	mdPCTab     = 80
	mdPCLNTable = 104
	mdFTab      = 128
	mdMinPC     = 160
	mdMaxPC     = 168
	mdText      = 176
	mdNoPtrData = 192
	mdData      = 208
	mdBSS       = 224
	mdNoPtrBSS  = 240
	mdEnd       = 272
)

// LayoutOf returns the layout of a release that ParseVersion accepted.
func LayoutOf(v Version) Layout {
	switch {
	case v.Minor <= 22: // bad follows typemap, not hasmain
		return Layout{types: 296, etypes: 304, gofunc: 320, textSects: 328, typeLinks: 352, hasMain: 528, next: 584, size: 592}
	case v.Minor <= 25:
		return Layout{types: 296, etypes: 304, gofunc: 320, textSects: 328, typeLinks: 352, hasMain: 528, next: 576, size: 584}
	case v.Minor == 26: // epclntab came
		return Layout{types: 296, etypes: 304, gofunc: 320, textSects: 336, typeLinks: 360, hasMain: 536, next: 584, size: 592}
	default: // typedesclen, itaboffset, itabsize came, typelinks and itablinks went
		return Layout{types: 296, typeDescLen: 304, etypes: 312, gofunc: 344, textSects: 360, hasMain: 512, next: 560, size: 568}
	}
}

// ErrNotModule is wrapped by the error for a place that holds no moduledata.
var ErrNotModule = errors.New("not a module's data")

func notModule(addr memory.Address, format string, args ...any) error {
	return fmt.Errorf("%w at %v: %s", ErrNotModule, addr, fmt.Sprintf(format, args...))
}

// decode reads the moduledata at addr and believes it only when its parts fit
// each other.
func decode(mem memory.Memory, addr memory.Address, v Version) (*Module, error) {
	l := LayoutOf(v)
	b, err := memory.Reader{Memory: mem}.Bytes(addr, uint64(l.size), uint64(l.size))
	if err != nil {
		return nil, err
	}
	word := func(off int) memory.Address { return memory.Address(binary.LittleEndian.Uint64(b[off:])) }
	pair := func(off int) memory.Range { return memory.Range{Start: word(off), End: word(off + 8)} }
	slice := func(off int) memory.Slice {
		return memory.Slice{Data: word(off), Len: uint64(word(off + 8)), Cap: uint64(word(off + 16))}
	}
	m := &Module{
		Addr:      addr,
		Bytes:     uint64(l.size),
		PCHeader:  word(mdPCHeader),
		Text:      pair(mdText),
		NoPtrData: pair(mdNoPtrData),
		Data:      pair(mdData),
		BSS:       pair(mdBSS),
		NoPtrBSS:  pair(mdNoPtrBSS),
		End:       word(mdEnd),
		Types:     memory.Range{Start: word(l.types), End: word(l.etypes)},
		GoFunc:    word(l.gofunc),
		ROData:    word(l.gofunc - 8), // in all releases
		HasMain:   b[l.hasMain] != 0,
		Next:      word(l.next),
		funcNames: slice(mdFuncNames),
		cuTab:     slice(mdCUTab),
		fileTab:   slice(mdFileTab),
		pcTab:     slice(mdPCTab),
		pclnTable: slice(mdPCLNTable),
		ftab:      slice(mdFTab),
		textSects: slice(l.textSects),
		minPC:     word(mdMinPC),
		maxPC:     word(mdMaxPC),
		gcMasks:   addr.Add(uint64(l.hasMain) + 8), // in all releases
	}
	if l.typeDescLen != 0 {
		m.TypeDescs = uint64(word(l.typeDescLen))
	}
	if l.typeLinks != 0 {
		m.TypeLinks = slice(l.typeLinks)
	}
	return m, m.check(mem, b[l.hasMain])
}

// maxPart bounds the size of each part: offsets in them have 32 bits.
const maxPart = 1 << 32

// check holds the parts of a moduledata against each other and against the
// pc-line table's header.
func (m *Module) check(mem memory.Memory, hasMain byte) error {
	h, err := readPCHeader(mem, m.PCHeader)
	if err != nil {
		return notModule(m.Addr, "%v", err)
	}
	for _, c := range []struct {
		what string
		ok   bool
	}{
		{"text", !m.Text.Empty() && m.Text.Size() <= maxPart && m.minPC < m.maxPC && m.Text.Contains(m.minPC) && m.maxPC <= m.Text.End},
		{"data", m.NoPtrData.Start <= m.NoPtrData.End && m.Data.Start <= m.Data.End && m.BSS.Start <= m.BSS.End && m.NoPtrBSS.Start <= m.NoPtrBSS.End},
		{"types", !m.Types.Empty() && m.Types.Size() <= maxPart && m.TypeDescs <= m.Types.Size()},
		{"function names", m.funcNames.Data == m.PCHeader.Add(h.funcNames)},
		{"compilation units", m.cuTab.Data == m.PCHeader.Add(h.cuTab)},
		{"files", m.fileTab.Data == m.PCHeader.Add(h.fileTab)},
		{"pc values", m.pcTab.Data == m.PCHeader.Add(h.pcTab)},
		{"pc-line table", m.pclnTable.Data == m.PCHeader.Add(h.pcln)},
		{"functions", m.ftab.Data == m.pclnTable.Data && h.nfunc > 0 && m.ftab.Len == h.nfunc+1},
		{"flags", hasMain <= 1},
		{"next", m.Next.Aligned(8) && m.Next != m.Addr},
	} {
		if !c.ok {
			return notModule(m.Addr, "%s make no sense", c.what)
		}
	}
	for _, s := range []memory.Slice{m.funcNames, m.cuTab, m.fileTab, m.pcTab, m.pclnTable, m.textSects, m.TypeLinks} {
		if s.Len > s.Cap || s.Len > maxPart {
			return notModule(m.Addr, "a slice of length %d and capacity %d", s.Len, s.Cap)
		}
	}
	return nil
}

// PCLineTable is the range of the pc-line table, from its header to the end of
// its last part.
func (m *Module) PCLineTable() memory.Range {
	r := memory.Range{Start: m.PCHeader, End: m.PCHeader}
	for _, part := range []memory.Slice{m.funcNames, m.fileTab, m.pcTab, m.pclnTable} {
		r.End = max(r.End, part.Data.Add(part.Len))
	}
	return r
}

// A PointerMask is one bit for each word of memory: set for a pointer.
type PointerMask struct {
	memory.Range        // the words
	Bits         []byte // one bit a word; the first in the least bit
}

// Has reports whether the i-th word is a pointer.
func (m PointerMask) Has(i uint64) bool {
	return i/8 < uint64(len(m.Bits)) && m.Bits[i/8]>>(i%8)&1 != 0
}

// PointerMasks reads the masks of the module's data and bss. The runtime makes
// them when the program starts: an executable file has none.
func (m *Module) PointerMasks(mem memory.Memory) ([]PointerMask, error) {
	r := memory.Reader{Memory: mem}
	masks := make([]PointerMask, 0, 2)
	for i, part := range []memory.Range{m.Data, m.BSS} {
		at := m.gcMasks.Add(uint64(i) * 16)
		n, err := r.Uint32(at)
		if err != nil {
			return nil, fmt.Errorf("pointer mask at %v: %w", at, err)
		}
		bits, err := r.Pointer(at.Add(8))
		if err != nil {
			return nil, fmt.Errorf("pointer mask at %v: %w", at, err)
		}
		if uint64(n) > part.Size()/memory.PtrSize {
			return nil, fmt.Errorf("pointer mask at %v: %d words of %d bytes", at, n, part.Size())
		}
		size := (uint64(n) + 7) / 8
		b, err := r.Bytes(bits, size, size)
		if err != nil {
			return nil, fmt.Errorf("pointer mask at %v: %w", at, err)
		}
		masks = append(masks, PointerMask{memory.RangeOf(part.Start, uint64(n)*memory.PtrSize), b})
	}
	return masks, nil
}
