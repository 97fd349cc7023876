package linker

import (
	"encoding/binary"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// declared reports declared IDs that nothing in the program registers.
//
// A static check can prove only this much. An ID is 63 bits of a hash and is
// not computed, so code that registers it contains it, as an immediate operand
// or as data. If the tables are the only place in code and data that contains
// the eight bytes, nothing registers the ID: the call was never written, or the
// linker dropped the function with the call because nothing calls it. If they
// occur elsewhere, a run may still not register the ID; a static check cannot
// tell, so declared reports nothing.
func (c *checker) declared() error {
	s := idSearch{arch: c.p.file.Arch, left: map[uint64][]use{}, tables: map[memory.Address]bool{}}
	static := map[uint64]bool{}
	for _, e := range c.p.entries {
		static[e.ID] = true
	}
	for _, t := range c.p.found.Tables {
		data, err := memory.Reader{Memory: c.p.mem}.Slice(t.Addr.Add(anchor.TableDeclared))
		if err != nil {
			return fmt.Errorf("declared IDs of %s: %w", t.Package, err)
		}
		for i, d := range t.Declared {
			s.tables[data.Data.Add(uint64(i)*anchor.DeclaredSize+anchor.DeclaredID)] = true
			if !static[d.ID] {
				s.left[d.ID] = append(s.left[d.ID], use{d.ID, t.Package, t.Namespace, d.Name, d.Pos, 0})
			}
		}
	}
	if len(s.left) == 0 {
		return nil
	}
	for _, seg := range c.p.mem.Segments() {
		if err := s.segment(c.p.mem, seg); err != nil {
			return fmt.Errorf("search for declared IDs: %w", err)
		}
	}
	for _, uses := range s.left {
		for _, u := range uses {
			c.add(Finding{
				Code: NeverRegistered, Package: u.pkg, Name: u.name, ID: idText(u.id), Pos: position(u.pkg, u.pos),
				Text: fmt.Sprintf("the ID of %s is declared, but no code or data of the program contains it: nothing registers it", u.name),
			})
		}
	}
	return nil
}

// An idSearch looks for many 64-bit numbers at once.
type idSearch struct {
	arch   exe.Arch
	left   map[uint64][]use        // not found yet
	tables map[memory.Address]bool // addresses of the declarations themselves
	regs   [32]uint64              // arm64: the values that the last instructions put into each register
}

const (
	searchPiece    = 1 << 20
	maxInstruction = 16 // bytes of the longest instruction
)

// segment searches one segment, in pieces that overlap by one number.
func (s *idSearch) segment(mem memory.Memory, seg memory.Segment) error {
	buf := make([]byte, searchPiece)
	r := seg.Filled() // no ID is zero
	for at := r.Start; at < r.End && len(s.left) > 0; {
		b := buf[:min(searchPiece, uint64(r.End-at))]
		if n, err := mem.ReadAt(b, at); n < len(b) {
			return err // the unread part may contain the IDs
		}
		s.piece(b, at, seg.Exec)
		if at.Add(uint64(len(b))) >= r.End {
			return nil
		}
		// An instruction may cross the boundary; keep words aligned.
		at = at.Add(uint64(len(b)-maxInstruction) &^ 7)
	}
	return nil
}

// piece searches memory that begins at the address at, a multiple of 4. It
// looks for the numbers as aligned words of data, and as operands of
// instructions. It searches code both ways, because some linkers put constants
// into it.
func (s *idSearch) piece(b []byte, at memory.Address, code bool) {
	s.data(b, at)
	switch {
	case code && s.arch == exe.AMD64:
		s.operands(b)
	case code && s.arch == exe.ARM64:
		s.moves(b)
	}
}

// data checks the aligned words. Half of all words lack the top bit that IDs
// have, and few of the rest have the low bits of one, so only those need a map
// look-up.
func (s *idSearch) data(b []byte, at memory.Address) {
	filter := s.filter()
	for i := int(-at & 7); i+8 <= len(b); i += 8 {
		word := binary.LittleEndian.Uint64(b[i:])
		if word < anchor.NamedBit || !filter[word%filterSize] {
			continue
		}
		if s.left[word] != nil && !s.tables[at.Add(uint64(i))] {
			delete(s.left, word)
		}
	}
}

// operands checks the one amd64 instruction with a 64-bit operand: MOV to a
// register, which is REX.W, B8 to BF, the number.
func (s *idSearch) operands(b []byte) {
	const head = 2
	for i := 0; i+head+8 <= len(b); i++ {
		if b[i+1]&0xf8 != 0xb8 || b[i]&0xfe != 0x48 {
			continue
		}
		if word := binary.LittleEndian.Uint64(b[i+head:]); word >= anchor.NamedBit {
			delete(s.left, word)
		}
	}
}

// filterSize is the number of slots of the filter: small enough for the
// processor's first-level cache.
const filterSize = 1 << 12

func (s *idSearch) filter() *[filterSize]bool {
	var f [filterSize]bool
	for id := range s.left {
		f[id%filterSize] = true
	}
	return &f
}

// moves follows the arm64 instructions that build a number in a register 16
// bits at a time: first MOVZ or MOVN, then MOVK. Other instructions in between
// do not matter, because no other number looks like an ID.
func (s *idSearch) moves(b []byte) {
	for ; len(b) >= 4; b = b[4:] {
		word := binary.LittleEndian.Uint32(b)
		reg, imm := word&31, uint64(word>>5&0xffff)
		shift := (word >> 21 & 3) * 16
		switch word >> 23 {
		case 0b1_10_100101: // MOVZ Xd
			s.regs[reg] = imm << shift
		case 0b1_00_100101: // MOVN Xd
			s.regs[reg] = ^(imm << shift)
		case 0b1_11_100101: // MOVK Xd
			s.regs[reg] = s.regs[reg]&^(0xffff<<shift) | imm<<shift
		default:
			continue
		}
		delete(s.left, s.regs[reg])
	}
}
