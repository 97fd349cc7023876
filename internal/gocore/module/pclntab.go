package module

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// pcMagic is the pc-line table's magic of Go 1.20 and later.
const pcMagic = 0xfffffff1

// A pcHeader is runtime.pcHeader: counts, and offsets from itself.
type pcHeader struct {
	quantum                                uint8
	nfunc                                  uint64
	funcNames, cuTab, fileTab, pcTab, pcln uint64
}

const pcHeaderSize = 72

// readPCHeader reads the head of a pc-line table.
func readPCHeader(mem memory.Memory, addr memory.Address) (pcHeader, error) {
	b, err := memory.Reader{Memory: mem}.Bytes(addr, pcHeaderSize, pcHeaderSize)
	if err != nil {
		return pcHeader{}, err
	}
	le := binary.LittleEndian
	if magic := le.Uint32(b); magic != pcMagic || b[4] != 0 || b[5] != 0 || b[7] != memory.PtrSize {
		return pcHeader{}, fmt.Errorf("pc-line table at %v: it begins with % x", addr, b[:8])
	}
	return pcHeader{
		quantum:   b[6],
		nfunc:     le.Uint64(b[8:]),
		funcNames: le.Uint64(b[32:]),
		cuTab:     le.Uint64(b[40:]),
		fileTab:   le.Uint64(b[48:]),
		pcTab:     le.Uint64(b[56:]),
		pcln:      le.Uint64(b[64:]),
	}, nil
}

// A Func is one function of the pc-line table. Functions that the compiler
// inlined have no entry of their own.
type Func struct {
	Range       memory.Range
	Name        string
	ID          uint8 // runtime's funcID: 0 for ordinary functions
	Flag        uint8
	ArgsSize    int32
	DeferReturn uint32 // offset of the call to deferreturn, 0 for none
	StartLine   int32
	pcsp        uint32
	pcfile      uint32
	pcln        uint32
	cuOffset    uint32
	addr        memory.Address // of the runtime._func
	npcdata     uint32
	nfuncdata   uint8
	table       *Functions
	entryOff    uint32
}

// Functions is a module's pc-line table. The table of entries is kept, the
// rest is read as it is asked for.
type Functions struct {
	m       *Module
	r       memory.Reader
	quantum uint8
	ftab    []byte // pairs of entry offset and function offset, u32 each
	count   int
	sects   []textSect
}

// A textSect describes where a part of the text was placed (runtime.textsect).
type textSect struct {
	vaddr, end, base uint64
}

const (
	funcSize      = 44 // of runtime._func up to pcdata
	ftabEntrySize = 8
	textSectSize  = 24
	maxName       = 1 << 20
	maxFunctions  = 16 << 20 // of one module; a binary of 100 MB has some 200,000
	maxPCValue    = 1 << 20  // bytes of one function's pc-value table
)

// Functions reads the module's table of functions.
func (m *Module) Functions(mem memory.Memory) (*Functions, error) {
	h, err := readPCHeader(mem, m.PCHeader)
	if err != nil {
		return nil, err
	}
	r := memory.Reader{Memory: mem}
	// A text address per function at the least.
	size := m.ftab.Len * ftabEntrySize
	if m.ftab.Len > m.Text.Size()+1 || m.ftab.Len > maxFunctions {
		return nil, fmt.Errorf("pc-line table: %d functions in %d bytes of text", m.ftab.Len, m.Text.Size())
	}
	t := &Functions{m: m, r: r, quantum: h.quantum, count: int(m.ftab.Len) - 1}
	// The last entry is the end of the text alone: it has no function offset.
	if t.ftab, err = r.Bytes(m.ftab.Data, size-4, size); err != nil {
		return nil, fmt.Errorf("pc-line table: functions: %w", err)
	}
	if m.textSects.Len > 1 {
		if m.textSects.Len > 1<<16 {
			return nil, fmt.Errorf("pc-line table: %d parts of text", m.textSects.Len)
		}
		b, err := r.Bytes(m.textSects.Data, m.textSects.Len*textSectSize, 1<<24)
		if err != nil {
			return nil, fmt.Errorf("pc-line table: parts of text: %w", err)
		}
		for ; len(b) > 0; b = b[textSectSize:] {
			le := binary.LittleEndian
			t.sects = append(t.sects, textSect{le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:])})
		}
	}
	return t, nil
}

// Len is the number of functions.
func (t *Functions) Len() int { return t.count }

// entry returns the offset of the i-th function's text, which i may pass by
// one.
func (t *Functions) entry(i int) uint32 {
	return binary.LittleEndian.Uint32(t.ftab[i*ftabEntrySize:])
}

// textAddr turns an offset in the text, as the compiler saw it, to an address
// (runtime's textAddr).
func (t *Functions) textAddr(off uint32) memory.Address {
	for i, s := range t.sects {
		if uint64(off) >= s.vaddr && uint64(off) < s.end || i == len(t.sects)-1 && uint64(off) == s.end {
			return memory.Address(s.base + uint64(off) - s.vaddr)
		}
	}
	return t.m.Text.Start.Add(uint64(off))
}

// textOffset is the inverse of textAddr.
func (t *Functions) textOffset(pc memory.Address) (uint32, bool) {
	for _, s := range t.sects {
		if size := s.end - s.vaddr; uint64(pc) >= s.base && uint64(pc)-s.base < size {
			return uint32(uint64(pc) - s.base + s.vaddr), true
		}
	}
	off := pc - t.m.Text.Start
	return uint32(off), len(t.sects) == 0 && t.m.Text.Contains(pc) && off <= 1<<32-1
}

// ErrNoFunction is wrapped by the error for a pc that lies in no Go function.
var ErrNoFunction = errors.New("no function there")

// At returns the function whose text holds pc.
func (t *Functions) At(pc memory.Address) (*Func, error) {
	off, ok := t.textOffset(pc)
	if !ok || t.count <= 0 || off < t.entry(0) || off >= t.entry(t.count) {
		return nil, fmt.Errorf("pc %v: %w", pc, ErrNoFunction)
	}
	i := sort.Search(t.count, func(i int) bool { return t.entry(i) > off }) - 1
	return t.Func(i)
}

// Func returns the i-th function, in the order of their addresses.
func (t *Functions) Func(i int) (*Func, error) {
	if i < 0 || i >= t.count {
		return nil, fmt.Errorf("function %d of %d: %w", i, t.count, ErrNoFunction)
	}
	le := binary.LittleEndian
	entry, end := t.entry(i), t.entry(i+1)
	addr := t.m.pclnTable.Data.Add(uint64(le.Uint32(t.ftab[i*ftabEntrySize+4:])))
	b, err := t.r.Bytes(addr, funcSize, funcSize)
	if err != nil {
		return nil, fmt.Errorf("function at %v: %w", t.textAddr(entry), err)
	}
	if le.Uint32(b) != entry || end < entry {
		return nil, fmt.Errorf("function at %v: its record has offset %#x, the table %#x", t.textAddr(entry), le.Uint32(b), entry)
	}
	f := &Func{
		Range:       memory.RangeOf(t.textAddr(entry), uint64(end-entry)),
		ArgsSize:    int32(le.Uint32(b[8:])),
		DeferReturn: le.Uint32(b[12:]),
		pcsp:        le.Uint32(b[16:]),
		pcfile:      le.Uint32(b[20:]),
		pcln:        le.Uint32(b[24:]),
		npcdata:     le.Uint32(b[28:]),
		cuOffset:    le.Uint32(b[32:]),
		StartLine:   int32(le.Uint32(b[36:])),
		ID:          b[40],
		Flag:        b[41],
		nfuncdata:   b[43],
		addr:        addr,
		table:       t,
		entryOff:    entry,
	}
	if f.Name, err = t.cstring(t.m.funcNames, uint64(le.Uint32(b[4:]))); err != nil {
		return nil, fmt.Errorf("name of the function at %v: %w", f.Range.Start, err)
	}
	return f, nil
}

// cstring reads the text at off in table, up to its NUL.
func (t *Functions) cstring(table memory.Slice, off uint64) (string, error) {
	var text []byte
	for off < table.Len && len(text) < maxName {
		var piece [64]byte
		want := piece[:min(uint64(len(piece)), table.Len-off)]
		n, err := t.r.ReadAt(want, table.Data.Add(off))
		if i := bytes.IndexByte(want[:n], 0); i >= 0 {
			return string(append(text, want[:i]...)), nil
		}
		if err != nil {
			return "", err
		}
		text = append(text, want[:n]...)
		off += uint64(n)
	}
	return "", errors.New("it has no end")
}

// Line returns the source position of the instruction at pc, which f holds.
// For a return address ask for the byte before it. Of inlined code it is the
// position in the inlined function.
func (f *Func) Line(pc memory.Address) (file string, line int, err error) {
	number, err := f.value(f.pcfile, pc)
	if err != nil {
		return "", 0, fmt.Errorf("file of %v: %w", pc, err)
	}
	lineNumber, err := f.value(f.pcln, pc)
	if err != nil {
		return "", 0, fmt.Errorf("line of %v: %w", pc, err)
	}
	if number < 0 {
		return "", 0, fmt.Errorf("file of %v: not recorded", pc)
	}
	t := f.table
	index := uint64(f.cuOffset) + uint64(number)
	if index >= t.m.cuTab.Len {
		return "", 0, fmt.Errorf("file of %v: number %d is not in the table", pc, number)
	}
	off, err := t.r.Uint32(t.m.cuTab.Data.Add(index * 4))
	if err != nil {
		return "", 0, fmt.Errorf("file of %v: %w", pc, err)
	}
	if off == ^uint32(0) {
		return "", 0, fmt.Errorf("file of %v: dropped by the linker", pc)
	}
	if file, err = t.cstring(t.m.fileTab, uint64(off)); err != nil {
		return "", 0, fmt.Errorf("file of %v: %w", pc, err)
	}
	return file, int(lineNumber), nil
}

// SPDelta returns how many bytes the function has pushed below its return
// address at pc.
func (f *Func) SPDelta(pc memory.Address) (int32, error) { return f.value(f.pcsp, pc) }

// PCData returns the value of the i-th pc-data table at pc; -1 where the
// function has none.
func (f *Func) PCData(i uint32, pc memory.Address) (int32, error) {
	if i >= f.npcdata {
		return -1, nil
	}
	off, err := f.table.r.Uint32(f.addr.Add(funcSize + uint64(i)*4))
	if err != nil || off == 0 {
		return -1, err
	}
	return f.value(off, pc)
}

// FuncData returns the address of the i-th function data; 0 where there is
// none.
func (f *Func) FuncData(i uint8) (memory.Address, error) {
	if i >= f.nfuncdata {
		return 0, nil
	}
	off, err := f.table.r.Uint32(f.addr.Add(funcSize + uint64(f.npcdata)*4 + uint64(i)*4))
	if err != nil || off == ^uint32(0) {
		return 0, err
	}
	return f.table.m.GoFunc.Add(uint64(off)), nil
}

// value walks a pc-value table (golang.org/s/go12symtab): pairs of varints, a
// zigzag step of the value and a step of the pc in units of the quantum.
func (f *Func) value(off uint32, pc memory.Address) (int32, error) {
	if off == 0 || uint64(off) >= f.table.m.pcTab.Len {
		return -1, nil
	}
	if !f.Range.Contains(pc) {
		return 0, fmt.Errorf("pc %v: not in %s", pc, f.Name)
	}
	s := stream{r: f.table.r, at: f.table.m.pcTab.Data.Add(uint64(off)), left: min(f.table.m.pcTab.Len-uint64(off), maxPCValue)}
	value, here := int32(-1), f.Range.Start
	for first := true; ; first = false {
		step, err := s.uvarint()
		if err != nil {
			return 0, err
		}
		if step == 0 && !first {
			return 0, fmt.Errorf("pc %v: after the end of a table of %s", pc, f.Name)
		}
		value += int32(step>>1) ^ -int32(step&1)
		advance, err := s.uvarint()
		if err != nil {
			return 0, err
		}
		here = here.Add(uint64(advance) * uint64(f.table.quantum))
		if pc < here {
			return value, nil
		}
	}
}

// A stream reads varints from memory piece by piece.
type stream struct {
	r    memory.Reader
	at   memory.Address
	left uint64
	buf  []byte
	keep [64]byte
}

func (s *stream) uvarint() (uint32, error) {
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		if len(s.buf) == 0 {
			n, err := s.r.ReadAt(s.keep[:min(uint64(len(s.keep)), s.left)], s.at)
			if n == 0 {
				if err == nil {
					err = errors.New("a pc-value table without end")
				}
				return 0, err
			}
			s.buf, s.at, s.left = s.keep[:n], s.at.Add(uint64(n)), s.left-uint64(n)
		}
		b := s.buf[0]
		s.buf = s.buf[1:]
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, errors.New("a varint of more than 32 bits")
}

// Quantum is the size of the smallest instruction: 1 on amd64, 4 on arm64.
func (t *Functions) Quantum() uint8 { return t.quantum }
