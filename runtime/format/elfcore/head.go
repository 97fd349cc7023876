package elfcore

import "encoding/binary"

// A Head is the first of several files whose concatenation is a core: ELF
// header, program headers and notes. The second file has more notes and, if
// something is marked, a block of MarkByte. The other files are pieces of
// memory that an agent copied, with their sizes rounded up to 4.
type Head struct {
	Machine uint16
	Notes   []Note  // in the head; Late is ignored
	More    uint64  // size of the notes in the second file, a multiple of 4
	After   []Piece // the files that follow the second, in order
	Marked  []Range // memory that is not captured
	Spare   int     // number of unused program headers, for AddPiece
}

// A Piece is one of the files that follow the head.
type Piece struct {
	Addr uint64
	Size uint64  // true size
	Load []Range // the parts of it to map; earlier pieces cover the rest
}

// Bytes returns the head, its length a multiple of 4, and the size of the block,
// which must be the end of the second file.
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
	at, next := blockAt+block, 1
	for _, p := range h.After {
		for _, r := range p.Load {
			programs[next].Offset = at + r.Start - p.Addr
			next++
		}
		at += align4(p.Size)
	}
	for i := loads; i < len(programs); i++ {
		programs[i].Offset = blockAt
	}

	b := appendHeader(make([]byte, 0, notesAt+uint64(len(notes))), h.Machine, len(programs))
	for _, p := range programs {
		b = AppendProgram(b, p)
	}
	b = append(b, make([]byte, progSize*h.Spare)...)
	return append(b, notes...), block
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
	for _, r := range p.Load {
		at := headerSize + progSize*n
		AppendProgram(head[at:at], Program{
			Type: ptLoad, Flags: FlagRead | FlagWrite, Offset: end + r.Start - p.Addr, Addr: r.Start, FileSize: r.Len(), MemSize: r.Len(), Align: 1,
		})
		n++
	}
	le.PutUint16(head[programCountAt:], uint16(n))
	return true
}

// programCountAt is the offset of e_phnum.
const programCountAt = 56
