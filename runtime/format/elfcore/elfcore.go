// Package elfcore writes and reads ELF core files (ET_CORE, 64 bits,
// little-endian) as Linux, gdb and Delve know them, byte by byte and without
// policy: its callers decide the content of a core.
//
// The writer streams: callers give sizes first, and the writer requests each
// content when its position in the file is reached. So a core of gigabytes
// needs no memory and can be written to a pipe. The file is laid out as
//
//	ELF header                    64 bytes
//	program headers               56 bytes each: PT_NOTE, then PT_LOADs by address
//	notes                         unless one of them is late
//	one block of MarkByte         when there are marked segments
//	contents of the segments      by address, without gaps
//	notes                         when one of them is late
//
// Marked segments show "not captured" in a debugger. If a core lacks a
// variable, gdb and Delve show its initial value from the executable file. So
// segments that all share one block of MarkByte cover the ranges that were not
// captured, and debuggers show the pattern instead of a stale value. Segments
// may not overlap, since gdb uses the first of two and Delve the last. Neither
// needs p_offset and p_vaddr to be aligned.
//
// Sources: the ELF gABI chapter 5, Linux fs/binfmt_elf.c,
// include/uapi/linux/elfcore.h.
package elfcore

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Machines (e_machine) whose registers this package can lay out.
const (
	MachineAMD64 uint16 = 62
	MachineARM64 uint16 = 183
)

// Flags of a segment (p_flags).
const (
	FlagExec  uint32 = 1
	FlagWrite uint32 = 2
	FlagRead  uint32 = 4

	// FlagMarked is set on marked segments. It is in PF_MASKOS, which debuggers
	// ignore; this project's readers use it to recognize memory that was not
	// captured.
	FlagMarked uint32 = 0x00100000
)

// MarkByte fills memory that was not captured: eight of them are the signed
// integer -6510615555426900571.
const MarkByte = 0xA5

// FillMarks overwrites b with MarkByte.
func FillMarks(b []byte) {
	const most = 4 << 10 // copied at a time, so that the source stays in the cache
	for i := range b[:min(len(b), 8)] {
		b[i] = MarkByte
	}
	for n := 8; n < len(b); {
		n += copy(b[n:], b[:min(n, most)])
	}
}

// MaxSegments is the maximum number of PT_LOADs in a core. Beyond it the count
// moves into a section header (PN_XNUM), which Go's debug/elf, and therefore
// Delve, does not read: it would silently lose segments.
const MaxSegments = 65533

const (
	headerSize = 64
	progSize   = 56
	typeCore   = 4
	ptLoad     = 1
	ptNote     = 4
	pnXNum     = 0xffff
	maxAddress = 1<<63 - 1
	fillSize   = 32 << 10 // bytes that fill writes at a time
)

// A Note is one note of the PT_NOTE segment.
type Note struct {
	Name string // the owner, without the NUL: "CORE", "LINUX", "MEMINSPECT"
	Type uint32
	Desc []byte

	// Late, if set, returns the descriptor. It is called after the last segment
	// was written, so that a note can describe the result of the capture. It must
	// return exactly LateSize bytes. Desc is ignored then.
	Late     func() ([]byte, error)
	LateSize int
}

// A Segment is a range of memory in a core (PT_LOAD).
type Segment struct {
	Addr  uint64
	Size  uint64 // bytes of memory
	Flags uint32

	// Missing is the number of bytes at the end of Size that the file does not
	// contain (p_memsz - p_filesz). Debuggers look for them in the executable.
	Missing uint64

	// Content writes the segment's Size - Missing bytes. It is called once, in the
	// order of the segments' addresses. A nil Content makes the segment a marked
	// one; Missing must then be 0.
	Content func(w io.Writer) error
}

// Bytes returns a Segment's Content that writes b.
func Bytes(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

// A Core is the input of Write.
type Core struct {
	Machine  uint16
	Notes    []Note
	Segments []Segment // in any order; may not overlap

	// NotesLater makes Write leave room for the notes before the segments, which
	// WriteNotes fills in later. Otherwise late notes follow the segments, where
	// crash(8) does not look for them.
	NotesLater bool
}

// ErrOverlap reports that two segments overlap.
var ErrOverlap = errors.New("segments overlap")

// ErrTooManySegments reports that a core has more than MaxSegments segments.
var ErrTooManySegments error = tooManyError{}

type tooManyError struct{}

func (tooManyError) Error() string { return "more than " + strconv.Itoa(MaxSegments) + " segments" }

// A layout is a core with all file offsets computed.
type layout struct {
	segments   []Segment // by address, marked ones split
	notesFirst bool
	notesOff   uint64
	notesSize  uint64
	blockOff   uint64
	blockSize  uint64 // 0 when no segment is marked
	dataOff    uint64
	size       uint64
}

// Write writes c to w and returns the number of bytes written. It fails before
// the first byte if segments overlap, are too many or wrap around the address
// space. Later it fails only with an error of w, a Content or a Late; the
// output is then not a valid core.
func (c *Core) Write(w io.Writer) (int64, error) {
	l, err := c.plan()
	if err != nil {
		return 0, fmt.Errorf("lay out core: %w", err)
	}
	out := &counter{w: w}
	err = c.write(out, l)
	if err == nil && out.n != l.size {
		err = fmt.Errorf("wrote %d bytes of %d", out.n, l.size)
	}
	if err != nil {
		return int64(out.n), fmt.Errorf("write core: %w", err)
	}
	return int64(out.n), nil
}

// WriteNotes writes the notes into a file that Write wrote with NotesLater. w's
// offset 0 is the start of the core.
func (c *Core) WriteNotes(w io.WriterAt) error {
	l, err := c.plan()
	if err != nil {
		return fmt.Errorf("lay out core: %w", err)
	}
	if err := c.writeNotes(&counter{w: io.NewOffsetWriter(w, int64(l.notesOff)), n: l.notesOff}); err != nil {
		return fmt.Errorf("write notes of core: %w", err)
	}
	return nil
}

// Size returns the number of bytes that Write will write.
func (c *Core) Size() (int64, error) {
	l, err := c.plan()
	if err != nil {
		return 0, fmt.Errorf("lay out core: %w", err)
	}
	return int64(l.size), nil
}

// plan sorts and splits the segments and computes offsets.
func (c *Core) plan() (*layout, error) {
	l := &layout{notesFirst: true}
	for i := range c.Notes {
		n := &c.Notes[i]
		if n.Late != nil && !c.NotesLater {
			l.notesFirst = false
		}
		l.notesSize += noteSize(n)
	}

	sorted := slices.Clone(c.Segments)
	slices.SortStableFunc(sorted, func(a, b Segment) int {
		switch {
		case a.Addr < b.Addr:
			return -1
		case a.Addr > b.Addr:
			return 1
		}
		return 0
	})
	var end, marked uint64
	for i := range sorted {
		s := &sorted[i]
		if s.Addr+s.Size < s.Addr {
			return nil, fmt.Errorf("segment at %#x: %d bytes wrap around the address space", s.Addr, s.Size)
		}
		if s.Missing > s.Size || s.Content == nil && s.Missing != 0 {
			return nil, fmt.Errorf("segment at %#x: %d of %d bytes missing", s.Addr, s.Missing, s.Size)
		}
		if i > 0 && s.Addr < end && s.Size > 0 {
			return nil, fmt.Errorf("%w: the one at %#x begins before %#x", ErrOverlap, s.Addr, end)
		}
		end = max(end, s.Addr+s.Size)
		if s.Content == nil {
			marked += min(s.Size, maxAddress-marked)
			l.blockSize = max(l.blockSize, s.Size)
		}
	}
	l.blockSize = min(l.blockSize, BlockFor(marked))
	l.segments = split(sorted, l.blockSize)
	if len(l.segments) > MaxSegments {
		return nil, fmt.Errorf("%w: %d", ErrTooManySegments, len(l.segments))
	}

	at := uint64(headerSize + progSize*(1+len(l.segments)))
	if l.notesFirst {
		l.notesOff = at
		at += l.notesSize
	}
	l.blockOff = at
	at += l.blockSize
	l.dataOff = at
	for i := range l.segments {
		if s := &l.segments[i]; s.Content != nil {
			if s.Size-s.Missing > maxAddress-at {
				return nil, fmt.Errorf("segment at %#x: a file cannot hold %d bytes more", s.Addr, s.Size-s.Missing)
			}
			at += s.Size - s.Missing
		}
	}
	if !l.notesFirst {
		at = align4(at)
		l.notesOff = at
		at += l.notesSize
	}
	l.size = at
	return l, nil
}

// BlockFor returns the size of the shared block for a number of marked bytes:
// the smallest power of two that costs the file no less than the headers of the
// segments that share it, which is near the minimum of the sum. It also keeps
// the segments under 1,000, because a debugger's time grows with their number.
// A program with 300 KB of data gets 8 KiB, one with 34 MB 64 KiB; beyond 1 GB
// it stays at 1 MiB.
func BlockFor(marked uint64) uint64 {
	const most = 1000
	block := uint64(4 << 10)
	for block < 1<<20 && (marked/block > most || marked/block*progSize > block) {
		block *= 2
	}
	return block
}

// split cuts marked segments into pieces no larger than the shared block, and
// drops empty segments.
func split(segments []Segment, block uint64) []Segment {
	pieces := uint64(len(segments))
	for i := range segments {
		if s := &segments[i]; s.Content == nil && block > 0 {
			pieces += s.Size / block
		}
	}
	out := make([]Segment, 0, min(pieces, MaxSegments+1))
	for _, s := range segments {
		if s.Size == 0 {
			continue
		}
		if s.Content != nil {
			out = append(out, s)
			continue
		}
		for rest := s.Size; rest > 0; {
			piece := min(rest, block)
			out = append(out, Segment{Addr: s.Addr + s.Size - rest, Size: piece, Flags: s.Flags | FlagMarked})
			rest -= piece
			if len(out) > MaxSegments {
				return out // the caller rejects it; do not build more
			}
		}
	}
	return out
}
