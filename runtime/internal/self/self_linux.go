//go:build linux && (amd64 || arm64)

package self

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Types of the auxiliary vector.
const (
	atPhdr  = 3
	atPhent = 4
	atPhnum = 5
	atEntry = 9
)

// Types of program headers.
const (
	ptLoad  = 1
	ptNote  = 4
	ptPhdr  = 6
	ptRelro = 0x6474e552
)

// Inspect collects the facts about this program. It needs /proc.
func Inspect() (*Process, error) {
	fixed, err := inspectLoaded()
	if err != nil {
		return nil, err
	}
	s := *fixed
	if s.Path, err = os.Readlink("/proc/self/exe"); err != nil {
		return nil, fmt.Errorf("learn the executable's name: %w", err)
	}
	s.Host, _ = os.Hostname()
	s.Kernel = KernelRelease()
	if err := s.mappings(); err != nil {
		return nil, err
	}
	// The file may be deleted; its name stays the same.
	s.Path = strings.TrimSuffix(s.Path, " (deleted)")
	return &s, nil
}

// loaded has the result of inspectLoaded, once it is complete.
var loaded atomic.Pointer[Process]

// inspectLoaded collects the facts that stay the same while the program runs. The caller
// must not change the result.
func inspectLoaded() (*Process, error) {
	if known := loaded.Load(); known != nil {
		return known, nil
	}
	s := &Process{}
	var err error
	if s.Auxv, err = os.ReadFile("/proc/self/auxv"); err != nil {
		return nil, fmt.Errorf("learn where the program is loaded: %w", err)
	}
	if err := s.programHeaders(); err != nil {
		return nil, fmt.Errorf("read the program's own headers: %w", err)
	}
	if s.BuildIDs.GNU == "" {
		if err := s.noteSections(); err != nil {
			return s, nil //nolint:nilerr // the next call may find more
		}
	}
	loaded.Store(s)
	return s, nil
}

// ReadBuildIDs returns the build IDs of the executable, empty ones if it has none or they
// cannot be read.
func ReadBuildIDs() BuildIDs {
	s, err := inspectLoaded()
	if err != nil {
		return BuildIDs{}
	}
	return s.BuildIDs
}

// mappings finds all mappings, and the executable's own: Delve takes every
// mapping in NT_FILE for the executable.
func (s *Process) mappings() error {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("learn the program's mappings: %w", err)
	}
	for line := range bytes.Lines(maps) {
		// address perms offset dev inode path; the path may contain spaces.
		line = bytes.TrimSuffix(line, []byte("\n"))
		addresses, line, _ := bytes.Cut(line, []byte(" "))
		perms, line, _ := bytes.Cut(line, []byte(" "))
		offset, line, ok := bytes.Cut(line, []byte(" "))
		if !ok {
			continue
		}
		from, to, _ := bytes.Cut(addresses, []byte("-"))
		start, err1 := strconv.ParseUint(string(from), 16, 64)
		end, err2 := strconv.ParseUint(string(to), 16, 64)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("read /proc/self/maps: %w", err)
		}
		if bytes.HasPrefix(perms, []byte("r")) {
			s.Readable = append(s.Readable, elfcore.Range{Start: start, End: end})
		}
		_, line, _ = bytes.Cut(line, []byte(" ")) // the device
		_, line, _ = bytes.Cut(line, []byte(" ")) // the inode
		if path := bytes.TrimLeft(line, " "); len(path) == 0 || string(path) != s.Path {
			continue
		}
		at, err := strconv.ParseUint(string(offset), 16, 64)
		if err != nil {
			return fmt.Errorf("read /proc/self/maps: %w", err)
		}
		s.Files = append(s.Files, elfcore.Mapping{Start: start, End: end, Offset: at, Path: strings.TrimSuffix(s.Path, " (deleted)")})
	}
	s.Readable = elfcore.Merge(s.Readable, 0)
	return nil
}

// programHeaders finds the executable's data, bss and build IDs in its program
// headers. The kernel has mapped them with the executable and reports their
// address.
func (s *Process) programHeaders() error {
	le := binary.LittleEndian
	var phdr, phent, phnum uint64
	for b := s.Auxv; len(b) >= 16; b = b[16:] {
		switch v := le.Uint64(b[8:]); le.Uint64(b) {
		case atPhdr:
			phdr = v
		case atPhent:
			phent = v
		case atPhnum:
			phnum = v
		}
	}
	if phdr == 0 || phent != 56 || phnum > 1000 {
		return fmt.Errorf("auxiliary vector has %d headers of %d bytes at %#x", phnum, phent, phdr)
	}
	table := make([]byte, phent*phnum)
	if Read(table, phdr) != len(table) {
		return fmt.Errorf("%d headers at %#x are not readable", phnum, phdr)
	}
	var programs []elfcore.Program
	for ; len(table) > 0; table = table[phent:] {
		p := elfcore.ParseProgram(table)
		if p.Type == ptPhdr {
			s.Bias = phdr - p.Addr
		}
		programs = append(programs, p)
	}
	if !slices.ContainsFunc(programs, func(p elfcore.Program) bool { return p.Type == ptPhdr }) {
		s.Bias = biasOf(phdr, programs)
	}
	var relro []elfcore.Range
	for _, p := range programs {
		r := elfcore.Range{Start: s.Bias + p.Addr, End: s.Bias + p.Addr + p.MemSize}
		switch {
		case p.Type == ptLoad && p.Flags&elfcore.FlagWrite != 0:
			s.Writable = append(s.Writable, r)
		case p.Type == ptRelro:
			// This part is constant once the program runs, and never contains a Go
			// variable. Covering it would hide correct data of the executable from
			// debuggers.
			r.End = (r.End + PageSize - 1) &^ (PageSize - 1)
			relro = append(relro, r)
		case p.Type == ptLoad && p.Flags&elfcore.FlagExec != 0:
			s.Text = append(s.Text, r)
		case p.Type == ptNote:
			s.readNotes(r)
		}
	}
	s.Writable = elfcore.Subtract(elfcore.Merge(s.Writable, 0), elfcore.Merge(relro, 0))
	if len(s.Writable) == 0 {
		return errors.New("no writable segment")
	}
	return nil
}

// biasOf returns the bias of an executable without a header for its table of headers, as
// static ones are: by the segment that begins with the file's header, which the table
// follows.
func biasOf(phdr uint64, programs []elfcore.Program) uint64 {
	const headerSize = 64
	var magic [4]byte
	if Read(magic[:], phdr-headerSize) != len(magic) || string(magic[:]) != "\x7fELF" {
		return 0
	}
	for _, p := range programs {
		if p.Type == ptLoad && p.Offset == 0 {
			return phdr - headerSize - p.Addr
		}
	}
	return 0
}

// readNotes reads the executable's notes, if there are any.
func (s *Process) readNotes(r elfcore.Range) {
	b := make([]byte, min(r.Len(), maxNotes))
	s.parseBuildIDs(b[:Read(b, r.Start)])
}

// maxNotes is the number of bytes of notes that are read.
const maxNotes = 64 << 10

// noteSections reads the notes from the sections of the executable's file: Go's
// linker leaves the GNU build ID out of PT_NOTE since Go 1.24.
func (s *Process) noteSections() error {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer f.Close()
	le := binary.LittleEndian
	sections, size, err := sectionHeaders(f)
	if err != nil {
		return err
	}
	for ; len(sections) >= size && size > 0; sections = sections[size:] {
		off, n := le.Uint64(sections[24:]), le.Uint64(sections[32:])
		if le.Uint32(sections[4:]) != shtNote || off > 1<<62 || n > maxNotes {
			continue
		}
		b := make([]byte, n)
		if _, err := f.ReadAt(b, int64(off)); err != nil {
			return err
		}
		s.parseBuildIDs(b)
	}
	return nil
}

func (s *Process) parseBuildIDs(b []byte) {
	notes, err := elfcore.ParseNotes(b)
	if err != nil {
		return
	}
	for _, n := range notes {
		switch {
		case n.Name == "Go" && n.Type == 4:
			s.BuildIDs.Go = string(n.Desc)
		case n.Name == "GNU" && n.Type == 3:
			s.BuildIDs.GNU = hex.EncodeToString(n.Desc)
		}
	}
}

// KernelRelease returns what uname -r prints, "" if the kernel does not report
// it.
func KernelRelease() string {
	var uts syscall.Utsname
	if syscall.Uname(&uts) != nil {
		return ""
	}
	var release []byte
	for _, c := range uts.Release {
		if c == 0 {
			break
		}
		release = append(release, byte(c))
	}
	return string(release)
}
