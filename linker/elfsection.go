package linker

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
)

// Sizes in a 64-bit ELF file, and offsets in its header.
const (
	elfHeaderSize  = 64
	elfSectionSize = 64
	elfProgramSize = 56

	ehShoff    = 40
	ehPhoff    = 32
	ehPhnum    = 56
	ehShnum    = 60
	ehShstrndx = 62

	shName   = 0
	shType   = 4
	shOffset = 24
	shSize   = 32
	shAlign  = 48
)

// Errors of Embed.
var (
	// ErrSigned is wrapped by the error for a file whose signature would
	// break.
	ErrSigned = errors.New("the file is signed: embed before signing")
	// ErrTrailer is wrapped by the error for a file that has data after the end of
	// the ELF file.
	ErrTrailer = errors.New("the file has data after the program: embed before appending it")
)

// An edit describes a file with the section: the first keep bytes of the old
// file with a new header, then tail.
type edit struct {
	header []byte
	keep   int64
	tail   []byte
}

// planSection plans the file with the section .meminspect. It appends names and
// section first, then the table of section headers, to the current content.
// Headers keep their numbers, because symbols refer to them.
func planSection(src io.ReaderAt, size int64, file *exe.File, section []byte) (*edit, error) {
	header := make([]byte, elfHeaderSize)
	if _, err := src.ReadAt(header, 0); err != nil {
		return nil, fmt.Errorf("read the ELF header: %w", err)
	}
	le := binary.LittleEndian
	sections, err := file.Sections()
	if err != nil && !errors.Is(err, exe.ErrNoSections) {
		return nil, fmt.Errorf("section headers: %w", err)
	}
	table, err := sectionTable(src, header, len(sections))
	if err != nil {
		return nil, err
	}
	namesAt := int(le.Uint16(header[ehShstrndx:]))
	if len(sections) == 0 { // none: begin with the null section and the names
		sections = make([]exe.Section, 2)
		table, namesAt = make([]byte, 2*elfSectionSize), 1
		le.PutUint32(table[elfSectionSize+shType:], uint32(elf.SHT_STRTAB))
		le.PutUint64(table[elfSectionSize+shAlign:], 1)
	}
	if len(sections) >= int(elf.SHN_LORESERVE)-1 {
		return nil, fmt.Errorf("it has %d sections: there is no room for another", len(sections))
	}
	own := slices.IndexFunc(sections, func(s exe.Section) bool { return s.Name == embedded.SectionName })
	keep, err := contentEnd(src, size, header, file, own)
	if err != nil {
		return nil, err
	}
	names, err := sectionNames(src, sections[namesAt])
	if err != nil {
		return nil, err
	}
	// A new section replaces the earlier one: its name is already present.
	renamed := own < 0
	if renamed {
		own = len(sections)
		table = append(table, make([]byte, elfSectionSize)...)
		h := table[own*elfSectionSize:]
		le.PutUint32(h[shName:], uint32(len(names)))
		le.PutUint32(h[shType:], uint32(elf.SHT_PROGBITS))
		le.PutUint64(h[shAlign:], 8)
		names = append(names, embedded.SectionName+"\x00"...)
	}
	if bytes.Equal(names, []byte("\x00"+embedded.SectionName+"\x00")) { // the file had no names
		le.PutUint32(table[namesAt*elfSectionSize+shName:], uint32(len(names)))
		names = append(names, ".shstrtab\x00"...)
	}
	e := &edit{header: header, keep: keep}
	place := func(index int, data []byte) {
		e.align(8)
		h := table[index*elfSectionSize:]
		le.PutUint64(h[shOffset:], uint64(e.end()))
		le.PutUint64(h[shSize:], uint64(len(data)))
		e.tail = append(e.tail, data...)
	}
	if renamed {
		place(namesAt, names)
	}
	place(own, section)
	e.align(8)
	le.PutUint64(header[ehShoff:], uint64(e.end()))
	le.PutUint16(header[58:], elfSectionSize)
	le.PutUint16(header[ehShnum:], uint16(len(table)/elfSectionSize))
	le.PutUint16(header[ehShstrndx:], uint16(namesAt))
	e.tail = append(e.tail, table...)
	return e, nil
}

func (e *edit) end() int64 { return e.keep + int64(len(e.tail)) }

func (e *edit) align(n int64) {
	for e.end()%n != 0 {
		e.tail = append(e.tail, 0)
	}
}

// sectionTable reads the section headers unchanged.
func sectionTable(src io.ReaderAt, header []byte, count int) ([]byte, error) {
	table := make([]byte, count*elfSectionSize)
	if count == 0 {
		return nil, nil
	}
	if _, err := src.ReadAt(table, int64(binary.LittleEndian.Uint64(header[ehShoff:]))); err != nil {
		return nil, fmt.Errorf("read the section headers: %w", err)
	}
	return table, nil
}

// sectionNames reads the table of section names.
func sectionNames(src io.ReaderAt, s exe.Section) ([]byte, error) {
	if s.Size == 0 {
		return []byte{0}, nil
	}
	names := make([]byte, s.Size)
	if _, err := src.ReadAt(names, int64(s.Offset)); err != nil {
		return nil, fmt.Errorf("read the section names: %w", err)
	}
	return names, nil
}

// contentEnd returns the end of the content to keep: everything except an
// earlier .meminspect section and the table of section headers, which are
// written anew. Data that no header describes must not follow it.
func contentEnd(src io.ReaderAt, size int64, header []byte, file *exe.File, own int) (int64, error) {
	le := binary.LittleEndian
	end := max(file.SegmentsEnd(), le.Uint64(header[ehPhoff:])+uint64(le.Uint16(header[ehPhnum:]))*elfProgramSize)
	known := end
	if off := le.Uint64(header[ehShoff:]); off != 0 {
		known = max(known, off+uint64(le.Uint16(header[ehShnum:]))*elfSectionSize)
	}
	sections, _ := file.Sections() // a file without sections is fine
	for i, s := range sections {
		if slices.Contains([]string{".signature", ".sig", ".pgpsign"}, s.Name) {
			return 0, fmt.Errorf("%w: it has a section %s", ErrSigned, s.Name)
		}
		if s.Type == elf.SHT_NOBITS || s.Type == elf.SHT_NULL {
			continue
		}
		if s.Offset > uint64(size) || s.Size > uint64(size)-s.Offset {
			return 0, fmt.Errorf("section %s does not lie in the file", s.Name)
		}
		known = max(known, s.Offset+s.Size)
		if i != own {
			end = max(end, s.Offset+s.Size)
		}
	}
	return int64(end), checkTrailer(src, size, int64(known))
}

// moduleSignature ends a file that was signed like a kernel module.
const moduleSignature = "~Module signature appended~\n"

// checkTrailer rejects a file with data after known, the end of the part that
// ELF describes: the data would be lost, or would no longer be at the end of
// the file. Padding does not count as data.
func checkTrailer(src io.ReaderAt, size, known int64) error {
	if size <= known {
		return nil
	}
	const padding = 4096
	tail := make([]byte, min(size-known, padding))
	if _, err := src.ReadAt(tail, size-int64(len(tail))); err != nil {
		return fmt.Errorf("read the file's end: %w", err)
	}
	switch {
	case bytes.HasSuffix(tail, []byte(moduleSignature)):
		return ErrSigned
	case size-known <= padding && len(bytes.Trim(tail, "\x00")) == 0:
		return nil
	}
	return fmt.Errorf("%w: %d bytes", ErrTrailer, size-known)
}
