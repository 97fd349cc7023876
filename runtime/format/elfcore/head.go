package elfcore

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
)

// A Head is the first of several files whose concatenation is a core: ELF
// header, program headers and notes. The second file has more notes, if
// something is marked a block of MarkByte, and copies of memory. The other files
// are pieces of memory that an agent copied, with their sizes rounded up to 4.
type Head struct {
	Machine uint16
	Notes   []Note  // in the head; Late is ignored
	More    uint64  // size of the notes in the second file, a multiple of 4
	After   []Piece // the files that follow the second, in order
	Marked  []Range // memory that is not captured
	Copies  []Copy  // of memory, at the end of the second file, in order
	Spare   int     // number of unused program headers, for AddPiece
}

// A Piece is one of the files that follow the head.
type Piece struct {
	Addr uint64
	Size uint64  // true size
	Load []Range // the parts of it to map; earlier pieces cover the rest
}

// A Copy is the content of memory when the head was made.
type Copy struct {
	Addr uint64
	Data []byte // its length a multiple of 4
}

// Bytes returns the head, its length a multiple of 4, and the size of the block,
// with what aligns the copies. The second file must end with the block and the
// copies.
func (h *Head) Bytes() (head []byte, block uint64) {
	var marked uint64
	for _, r := range h.Marked {
		marked += r.Len()
		block = max(block, r.Len())
	}
	block = align4(min(block, BlockFor(marked)))
	var notes []byte
	for _, n := range h.Notes {
		notes = AppendNote(notes, n)
	}

	// crash finds VMCOREINFO only in a PT_NOTE that is the first program header,
	// contains all notes, and precedes all memory. So the notes end the head,
	// those of the next file continue them, and the block follows these.
	programs := []Program{{Type: ptNote, FileSize: uint64(len(notes)) + h.More, Align: 4}}
	for _, p := range h.After {
		for _, r := range p.Load {
			programs = append(programs, Program{Type: ptLoad, Flags: FlagRead | FlagWrite, Addr: r.Start, FileSize: r.Len(), MemSize: r.Len(), Align: 1})
		}
	}
	for _, c := range h.Copies {
		programs = append(programs, Program{Type: ptLoad, Flags: FlagRead, Addr: c.Addr, FileSize: uint64(len(c.Data)), MemSize: uint64(len(c.Data)), Align: 1})
	}
	loads := len(programs)
	for _, r := range h.Marked {
		for at := r.Start; at < r.End; at += block {
			n := min(block, r.End-at)
			programs = append(programs, Program{Type: ptLoad, Flags: FlagRead | FlagWrite | FlagMarked, Addr: at, FileSize: n, MemSize: n, Align: 1})
		}
	}

	// Compute offsets now that the number of program headers is known.
	notesAt := uint64(headerSize + progSize*(len(programs)+h.Spare))
	programs[0].Offset = notesAt
	blockAt := notesAt + uint64(len(notes)) + h.More
	copiesAt, next := blockAt+block, 1
	if len(h.Copies) > 0 { // elfutils read ELF headers at multiples of 8 alone
		copiesAt = (copiesAt + 7) &^ 7
	}
	filler := copiesAt - blockAt
	at := copiesAt
	for _, c := range h.Copies {
		at += uint64(len(c.Data))
	}
	for _, p := range h.After {
		for _, r := range p.Load {
			programs[next].Offset = at + r.Start - p.Addr
			next++
		}
		at += align4(p.Size)
	}
	for _, c := range h.Copies {
		programs[next].Offset = copiesAt
		copiesAt += uint64(len(c.Data))
		next++
	}
	for i := loads; i < len(programs); i++ {
		programs[i].Offset = blockAt
	}

	// elfutils find a program in a core only if its segments are sorted.
	slices.SortStableFunc(programs[1:], func(a, b Program) int { return cmp.Compare(a.Addr, b.Addr) })
	b := appendHeader(make([]byte, 0, notesAt+uint64(len(notes))), h.Machine, len(programs))
	for _, p := range programs {
		b = AppendProgram(b, p)
	}
	b = append(b, make([]byte, progSize*h.Spare)...)
	return append(b, notes...), filler
}

// AddPiece adds a piece of memory at file offset end to a head that Bytes
// returned, using its spare program headers. If it needs more than spare
// program headers, it reports false and changes nothing.
func AddPiece(head []byte, p Piece, end uint64, spare int) bool {
	if len(p.Load) > spare {
		return false
	}
	le := binary.LittleEndian
	n := int(le.Uint16(head[programCountAt:]))
	program := func(i int) []byte { return head[headerSize+progSize*i:] }
	for _, r := range p.Load {
		// Segments are sorted, and so are most new ones.
		at := n
		if n > 1 && ParseProgram(program(n-1)).Addr > r.Start {
			at = 1 + sort.Search(n-1, func(i int) bool { return ParseProgram(program(1+i)).Addr > r.Start })
			copy(program(at + 1)[:progSize*(n-at)], program(at))
		}
		AppendProgram(program(at)[:0], Program{
			Type: ptLoad, Flags: FlagRead | FlagWrite, Offset: end + r.Start - p.Addr, Addr: r.Start, FileSize: r.Len(), MemSize: r.Len(), Align: 1,
		})
		n++
	}
	le.PutUint16(head[programCountAt:], uint16(n))
	return true
}

// programCountAt is the offset of e_phnum.
const programCountAt = 56
