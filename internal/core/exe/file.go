// Package exe reads an ELF executable, shared library or plugin as the memory
// that it becomes: its segments at their addresses, with the relocations
// applied that the dynamic loader would apply without looking at other files.
// It needs program headers only; section headers are used where they exist.
//
// Files are untrusted: they may be truncated or malicious. All sizes are
// checked against the file's size before anything is allocated.
package exe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"debug/elf"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/plainfile"
)

// Arch is the processor a program is for.
type Arch string

// The processors whose programs are read.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// Sizes of the structures of a 64-bit ELF file.
const (
	headerSize  = 64
	programSize = 56
	sectionSize = 64
	symbolSize  = 24
	dynamicSize = 16
	relaSize    = 24
)

// ErrFormat is wrapped by all errors about a file that is not an executable
// that this package can read.
var ErrFormat = errors.New("not a readable ELF executable")

func formatError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// A File is an executable as memory, at the addresses in its program headers: a
// load bias of zero. See Loaded for others. Several goroutines may read it.
type File struct {
	Arch  Arch
	Type  elf.Type       // elf.ET_EXEC or elf.ET_DYN
	Entry memory.Address // of the program's first instruction

	src      io.ReaderAt
	size     int64
	close    io.Closer
	programs []program // all program headers
	loads    []program // PT_LOADs with a size, sorted by address
	sections []Section
	secErr   error // why there are no sections
	cache    *memory.Blocks
	relocs   struct {
		once   sync.Once
		sorted []reloc
		err    error
	}
}

// A program is a program header.
type program struct {
	typ    elf.ProgType
	flags  elf.ProgFlag
	offset uint64
	addr   memory.Address
	filesz uint64
	memsz  uint64
}

func (p program) memory() memory.Range { return memory.RangeOf(p.addr, p.memsz) }

// Open opens the executable file at path, which the user names or the kernel keeps.
func Open(path string) (*File, error) { return opened(plainfile.OpenLink(path)) }

// OpenRecorded opens the executable file at a path that a core or another
// process names. The kernel writes these paths without symbolic links, so
// OpenRecorded follows none.
func OpenRecorded(path string) (*File, error) { return opened(plainfile.Open(path)) }

func opened(f *os.File, err error) (*File, error) {
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	file, err := New(f, info.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", f.Name(), err)
	}
	file.close = f
	return file, nil
}

// New reads the executable in the size bytes of src. The caller closes src,
// after the last use of the File.
func New(src io.ReaderAt, size int64) (*File, error) {
	var h [headerSize]byte
	if size < headerSize {
		return nil, formatError("%d bytes are too few", max(size, 0))
	}
	if _, err := src.ReadAt(h[:], 0); err != nil {
		return nil, fmt.Errorf("read the ELF header: %w", err)
	}
	f := &File{src: src, size: size}
	f.cache = memory.NewBlocks(src, size)
	if err := f.header(h[:]); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if err := f.readPrograms(le.Uint64(h[32:]), le.Uint16(h[54:]), le.Uint16(h[56:])); err != nil {
		return nil, err
	}
	f.sections, f.secErr = f.readSections(le.Uint64(h[40:]), le.Uint16(h[58:]), le.Uint16(h[60:]), le.Uint16(h[62:]))
	return f, nil
}

// Close closes the file that Open opened.
func (f *File) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close.Close()
}

// header decodes the independent fields of the ELF header.
func (f *File) header(h []byte) error {
	le := binary.LittleEndian
	switch {
	case string(h[:4]) != elf.ELFMAG:
		return formatError("it does not begin as an ELF file")
	case elf.Class(h[elf.EI_CLASS]) != elf.ELFCLASS64:
		return formatError("a 32-bit program")
	case elf.Data(h[elf.EI_DATA]) != elf.ELFDATA2LSB:
		return formatError("a big-endian program")
	}
	f.Type = elf.Type(le.Uint16(h[16:]))
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return formatError("it is of type %v, neither an executable nor a shared object", f.Type)
	}
	switch machine := elf.Machine(le.Uint16(h[18:])); machine {
	case elf.EM_X86_64:
		f.Arch = AMD64
	case elf.EM_AARCH64:
		f.Arch = ARM64
	default:
		return formatError("a program for %v; amd64 and arm64 are read", machine)
	}
	f.Entry = memory.Address(le.Uint64(h[24:]))
	return nil
}

// readPrograms reads the program headers and checks those that are loaded.
func (f *File) readPrograms(offset uint64, entSize, count uint16) error {
	if count == 0 {
		return formatError("no program headers")
	}
	if entSize != programSize {
		return formatError("program headers of %d bytes", entSize)
	}
	table, err := f.bytes(offset, uint64(count)*programSize)
	if err != nil {
		return fmt.Errorf("program headers: %w", err)
	}
	le := binary.LittleEndian
	for ; len(table) > 0; table = table[programSize:] {
		p := program{
			typ:    elf.ProgType(le.Uint32(table[0:])),
			flags:  elf.ProgFlag(le.Uint32(table[4:])),
			offset: le.Uint64(table[8:]),
			addr:   memory.Address(le.Uint64(table[16:])),
			filesz: le.Uint64(table[32:]),
			memsz:  le.Uint64(table[40:]),
		}
		f.programs = append(f.programs, p)
		if p.typ != elf.PT_LOAD || p.memsz == 0 {
			continue
		}
		if p.filesz > p.memsz {
			return formatError("a segment at %v has %d bytes in the file and %d in memory", p.addr, p.filesz, p.memsz)
		}
		if p.memory().Size() != p.memsz {
			return formatError("a segment at %v of %d bytes ends after the last address", p.addr, p.memsz)
		}
		if err := f.inFile(p.offset, p.filesz); err != nil {
			return fmt.Errorf("segment at %v: %w", p.addr, err)
		}
		f.loads = append(f.loads, p)
	}
	if len(f.loads) == 0 {
		return formatError("nothing in it is loaded")
	}
	slices.SortStableFunc(f.loads, func(a, b program) int { return a.addr.Compare(b.addr) })
	for i := 1; i < len(f.loads); i++ {
		if f.loads[i-1].memory().Overlaps(f.loads[i].memory()) {
			return formatError("segments at %v and %v overlap", f.loads[i-1].addr, f.loads[i].addr)
		}
	}
	return nil
}

// inFile checks that the file has the size bytes at offset.
func (f *File) inFile(offset, size uint64) error {
	if offset > uint64(f.size) || size > uint64(f.size)-offset {
		return formatError("the file is cut short: %d bytes at offset %d of %d", size, offset, f.size)
	}
	return nil
}

// bytes reads from the file, by offset.
func (f *File) bytes(offset, size uint64) ([]byte, error) {
	if err := f.inFile(offset, size); err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if n, err := f.src.ReadAt(b, int64(offset)); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read %d bytes at offset %d: %w", size, offset, err)
	}
	return b, nil
}

// LowestAddress returns the address of the first segment. The load bias of a
// process is the address of its first mapping minus this, rounded down to a
// page.
func (f *File) LowestAddress() memory.Address { return f.loads[0].addr }

// A SegmentSize is a segment and the number of its bytes in the file; the rest
// are zeros.
type SegmentSize struct {
	memory.Segment
	InFile uint64
	Offset uint64 // in the file
}

// SegmentSizes returns the segments with their sizes in the file.
func (f *File) SegmentSizes() []SegmentSize {
	all := make([]SegmentSize, 0, len(f.loads))
	for i, s := range f.Segments() { // in the order of loads, since the bias is zero
		all = append(all, SegmentSize{s, f.loads[i].filesz, f.loads[i].offset})
	}
	return all
}

// SegmentsEnd returns the largest file offset at which a segment of the program
// headers ends.
func (f *File) SegmentsEnd() uint64 {
	var end uint64
	for _, p := range f.programs {
		if f.inFile(p.offset, p.filesz) == nil {
			end = max(end, p.offset+p.filesz)
		}
	}
	return end
}
