package elfcore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Limits for untrusted files.
const (
	maxNotes    = 256 << 20
	maxPrograms = 1 << 22 // gcore of a large process has more than MaxSegments
)

// ErrNotCore reports that a file is not a core that this package can read.
var ErrNotCore = errors.New("not a 64-bit little-endian ELF core")

// ErrTruncated reports that a file is shorter than its headers require.
var ErrTruncated = errors.New("core file is truncated")

// ErrNotCaptured reports that a core does not contain the requested memory.
var ErrNotCaptured = errors.New("memory not in core")

// A Load is a PT_LOAD of a core file.
type Load struct {
	Addr     uint64
	MemSize  uint64
	Offset   uint64
	FileSize uint64
	Flags    uint32
}

// Marked reports whether the load covers memory that was not captured.
func (l *Load) Marked() bool { return l.Flags&FlagMarked != 0 }

// A File is an opened core.
type File struct {
	Machine uint16
	Loads   []Load // in the file's order
	Notes   []Note // in the file's order; the File owns the descriptors

	// NotesMissing is the number of bytes of notes missing at the end of a
	// truncated file: see OpenCut.
	NotesMissing uint64

	r      io.ReaderAt
	size   int64
	pieces []piece
}

// Open reads the headers and notes of a core of size bytes. The File keeps
// reading memory through r. If notes extend beyond the end of the file, Open
// returns ErrTruncated; Missing reports contents beyond it.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f, err := OpenCut(r, size)
	if err == nil && f.NotesMissing > 0 {
		return nil, fmt.Errorf("%w: %d bytes of its notes are beyond its end at byte %d", ErrTruncated, f.NotesMissing, size)
	}
	return f, err
}

// OpenCut is Open for truncated cores: it reads the complete notes before the
// cut, and sets NotesMissing. gdb and Delve write the notes after the memory.
func OpenCut(r io.ReaderAt, size int64) (*File, error) {
	var head [headerSize]byte
	if size < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrNotCore, size)
	}
	if err := readFull(r, head[:], 0); err != nil {
		return nil, fmt.Errorf("read ELF header: %w", err)
	}
	le := binary.LittleEndian
	if string(head[:4]) != "\x7fELF" || head[4] != 2 || head[5] != 1 {
		return nil, fmt.Errorf("%w: it begins %x", ErrNotCore, head[:6])
	}
	if t := le.Uint16(head[16:]); t != typeCore {
		return nil, fmt.Errorf("%w: ELF type %d, a core has %d", ErrNotCore, t, typeCore)
	}
	f := &File{Machine: le.Uint16(head[18:]), r: r, size: size}
	programs, err := f.programs(head[:])
	if err != nil {
		return nil, err
	}
	for _, p := range programs {
		switch p.Type {
		case ptLoad:
			f.Loads = append(f.Loads, Load{Addr: p.Addr, MemSize: p.MemSize, Offset: p.Offset, FileSize: p.FileSize, Flags: p.Flags})
		case ptNote:
			if err := f.readNotes(p); err != nil {
				return nil, err
			}
		}
	}
	if err := f.checkContents(); err != nil {
		return nil, err
	}
	f.pieces = index(f.Loads)
	return f, nil
}

// checkContents returns an error if several segments use the same bytes of the
// file: a reader might then have to read many times the file's size. Marked
// segments share one block, which readers of memory do not read.
func (f *File) checkContents() error {
	var total uint64
	for i := range f.Loads {
		if l := &f.Loads[i]; !l.Marked() {
			total += f.Present(l)
		}
		if total > uint64(f.size) {
			return fmt.Errorf("%w: its segments share bytes of the file: they claim more than its %d bytes", ErrNotCore, f.size)
		}
	}
	return nil
}

func (f *File) programs(head []byte) ([]Program, error) {
	le := binary.LittleEndian
	off, each, count := le.Uint64(head[32:]), le.Uint16(head[54:]), uint64(le.Uint16(head[56:]))
	if count == pnXNum {
		// The true count is sh_info of the first section header.
		var info [4]byte
		shoff := le.Uint64(head[40:])
		if shoff > uint64(f.size) || readFull(f.r, info[:], int64(shoff)+44) != nil {
			return nil, fmt.Errorf("%w: no section header with the number of segments", ErrTruncated)
		}
		count = uint64(le.Uint32(info[:]))
	}
	if each != progSize && count > 0 {
		return nil, fmt.Errorf("%w: program headers of %d bytes", ErrNotCore, each)
	}
	if count > maxPrograms {
		return nil, fmt.Errorf("%w: %d program headers", ErrNotCore, count)
	}
	if off > uint64(f.size) || count*progSize > uint64(f.size)-off {
		return nil, fmt.Errorf("%w: program headers end beyond %d bytes", ErrTruncated, f.size)
	}
	table := make([]byte, count*progSize)
	if err := readFull(f.r, table, int64(off)); err != nil {
		return nil, fmt.Errorf("read program headers: %w", err)
	}
	programs := make([]Program, count)
	for i := range programs {
		programs[i] = ParseProgram(table[i*progSize:])
	}
	return programs, nil
}

// ParseProgram reads a program header from the first 56 bytes of b.
func ParseProgram(b []byte) Program {
	le := binary.LittleEndian
	_ = b[progSize-1]
	return Program{
		Type:     le.Uint32(b),
		Flags:    le.Uint32(b[4:]),
		Offset:   le.Uint64(b[8:]),
		Addr:     le.Uint64(b[16:]),
		FileSize: le.Uint64(b[32:]),
		MemSize:  le.Uint64(b[40:]),
		Align:    le.Uint64(b[48:]),
	}
}

func (f *File) readNotes(p Program) error {
	if p.FileSize > maxNotes {
		return fmt.Errorf("%w: notes of %d bytes", ErrNotCore, p.FileSize)
	}
	there := p.FileSize
	if p.Offset > uint64(f.size) {
		there = 0
	} else {
		there = min(there, uint64(f.size)-p.Offset)
	}
	missing := p.FileSize - there
	f.NotesMissing += missing
	b := make([]byte, there)
	if err := readFull(f.r, b, int64(min(p.Offset, uint64(f.size)))); err != nil {
		return fmt.Errorf("read notes: %w", err)
	}
	notes, err := parseNotes(b)
	if err != nil && missing == 0 {
		return err
	}
	f.Notes = append(f.Notes, notes...)
	return nil
}

// ParseNotes reads the notes of a PT_NOTE segment. Descriptors alias b.
func ParseNotes(b []byte) ([]Note, error) {
	notes, err := parseNotes(b)
	if err != nil {
		return nil, err
	}
	return notes, nil
}

// parseNotes returns, together with an error, the notes before the malformed
// one.
func parseNotes(b []byte) ([]Note, error) {
	le := binary.LittleEndian
	var notes []Note
	for at := uint64(0); at < uint64(len(b)); {
		if uint64(len(b))-at < 12 {
			return notes, fmt.Errorf("note at byte %d: %d bytes left for its header", at, uint64(len(b))-at)
		}
		name, desc, kind := uint64(le.Uint32(b[at:])), uint64(le.Uint32(b[at+4:])), le.Uint32(b[at+8:])
		rest := uint64(len(b)) - at - 12
		if align4(name) > rest || desc > rest-align4(name) {
			return notes, fmt.Errorf("note at byte %d: name of %d and descriptor of %d bytes, %d bytes left", at, name, desc, rest)
		}
		at += 12
		owner := cString(b[at : at+name])
		at += align4(name)
		notes = append(notes, Note{Name: owner, Type: kind, Desc: b[at : at+desc : at+desc]})
		at += align4(desc) // the last padding may be missing: Delve omits it
	}
	return notes, nil
}

// Note returns the descriptor of the first note with this owner and type.
func (f *File) Note(owner string, kind uint32) ([]byte, bool) {
	for i := range f.Notes {
		if n := &f.Notes[i]; n.Type == kind && n.Name == owner {
			return n.Desc, true
		}
	}
	return nil, false
}

// Missing returns the number of bytes of contents that the headers require
// beyond the end of the file.
func (f *File) Missing() uint64 {
	var missing uint64
	for i := range f.Loads {
		missing += f.Loads[i].FileSize - f.Present(&f.Loads[i])
	}
	return missing
}

// Present returns how many of a load's bytes the file actually contains.
func (f *File) Present(l *Load) uint64 {
	if l.Offset >= uint64(f.size) {
		return 0
	}
	return min(l.FileSize, uint64(f.size)-l.Offset)
}

// ReadMemory fills p with the memory at addr. It reads marked memory like any
// other; callers that must distinguish it call Find first. At the first byte
// that the core does not contain, it stops with ErrNotCaptured (or ErrTruncated
// if the file should contain it) and returns the number n of bytes read.
func (f *File) ReadMemory(addr uint64, p []byte) (n int, err error) {
	for n < len(p) {
		at := addr + uint64(n)
		piece := f.piece(at)
		if piece == nil || at < addr {
			return n, fmt.Errorf("read %d bytes at %#x: %w", len(p), addr, ErrNotCaptured)
		}
		l := &f.Loads[piece.load]
		skip := at - l.Addr
		end := min(piece.End-l.Addr, f.Present(l))
		if skip >= end {
			return n, fmt.Errorf("read %d bytes at %#x: %w", len(p), addr, ErrTruncated)
		}
		m := min(uint64(len(p)-n), end-skip)
		if err := readFull(f.r, p[n:n+int(m)], int64(l.Offset+skip)); err != nil {
			return n, fmt.Errorf("read %d bytes at %#x: %w", len(p), addr, err)
		}
		n += int(m)
	}
	return n, nil
}

// readFull reads all of p; an earlier end of file is ErrTruncated.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %d bytes at %d, %d read", ErrTruncated, len(p), off, n)
	}
	return err
}
