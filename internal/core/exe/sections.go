package exe

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Section is a section header.
type Section struct {
	Name   string
	Type   elf.SectionType
	Flags  elf.SectionFlag
	Addr   memory.Address // 0 if it is not loaded
	Offset uint64         // in the file
	Size   uint64
	Link   uint32
	Align  uint64
	EntSiz uint64
}

// ErrNoSections is wrapped by errors about facts that only section headers
// provide, if the file has none.
var ErrNoSections = errors.New("the file has no section headers")

// Sections returns the section headers, or the reason why there are none: they
// were removed or are malformed.
func (f *File) Sections() ([]Section, error) { return f.sections, f.secErr }

// Section returns the first section of that name.
func (f *File) Section(name string) (Section, bool) {
	for _, s := range f.sections {
		if s.Name == name {
			return s, true
		}
	}
	return Section{}, false
}

// readSections reads the section headers and their names.
func (f *File) readSections(offset uint64, entSize, count, names uint16) ([]Section, error) {
	if offset == 0 || count == 0 {
		return nil, ErrNoSections
	}
	if entSize != sectionSize {
		return nil, formatError("section headers of %d bytes", entSize)
	}
	table, err := f.bytes(offset, uint64(count)*sectionSize)
	if err != nil {
		return nil, fmt.Errorf("section headers: %w", err)
	}
	le := binary.LittleEndian
	all := make([]Section, count)
	nameOffsets := make([]uint32, count)
	for i := range all {
		h := table[i*sectionSize:]
		nameOffsets[i] = le.Uint32(h)
		all[i] = Section{
			Type:   elf.SectionType(le.Uint32(h[4:])),
			Flags:  elf.SectionFlag(le.Uint64(h[8:])),
			Addr:   memory.Address(le.Uint64(h[16:])),
			Offset: le.Uint64(h[24:]),
			Size:   le.Uint64(h[32:]),
			Link:   le.Uint32(h[40:]),
			Align:  le.Uint64(h[48:]),
			EntSiz: le.Uint64(h[56:]),
		}
	}
	if int(names) >= len(all) || all[names].Type != elf.SHT_STRTAB {
		return nil, formatError("section headers without names")
	}
	text, err := f.bytes(all[names].Offset, all[names].Size)
	if err != nil {
		return nil, fmt.Errorf("section names: %w", err)
	}
	nameTable := string(text)
	for i := range all {
		all[i].Name = cstring(nameTable, nameOffsets[i])
	}
	return all, nil
}

// maxName bounds a name. Symbols of generic functions reach some kilobytes.
const maxName = 32 << 10

// cstring returns the NUL-terminated text at off, "" if there is none. It is a
// substring of table, so many names can share a text without cost.
func cstring(table string, off uint32) string {
	if uint64(off) >= uint64(len(table)) {
		return ""
	}
	text := table[off:min(uint64(len(table)), uint64(off)+maxName)]
	if end := strings.IndexByte(text, 0); end >= 0 {
		return text[:end]
	}
	return ""
}

// Data returns the content of a section. Compressed sections are expanded, to
// at most limit bytes.
func (f *File) Data(s Section, limit uint64) ([]byte, error) {
	if s.Type == elf.SHT_NOBITS {
		return nil, fmt.Errorf("section %s: it has no bytes in the file", s.Name)
	}
	if s.Size > limit {
		return nil, fmt.Errorf("section %s: %d bytes, which is over the limit of %d", s.Name, s.Size, limit)
	}
	data, err := f.bytes(s.Offset, s.Size)
	if err != nil {
		return nil, fmt.Errorf("section %s: %w", s.Name, err)
	}
	if s.Flags&elf.SHF_COMPRESSED == 0 {
		return data, nil
	}
	const chdrSize = 24
	if len(data) < chdrSize {
		return nil, formatError("compressed section %s is too short", s.Name)
	}
	if typ := elf.CompressionType(binary.LittleEndian.Uint32(data)); typ != elf.COMPRESS_ZLIB {
		return nil, fmt.Errorf("section %s: compressed with %v, which is not read", s.Name, typ)
	}
	size := binary.LittleEndian.Uint64(data[8:])
	if size > limit {
		return nil, fmt.Errorf("section %s: expands to %d bytes, which is over the limit of %d", s.Name, size, limit)
	}
	z, err := zlib.NewReader(bytes.NewReader(data[chdrSize:]))
	if err != nil {
		return nil, fmt.Errorf("section %s: %w", s.Name, err)
	}
	// Grow while expanding: the size in the header may be wrong.
	out, err := io.ReadAll(io.LimitReader(z, int64(size)+1))
	if err != nil {
		return nil, fmt.Errorf("section %s: expand: %w", s.Name, err)
	}
	if uint64(len(out)) != size {
		return nil, formatError("section %s does not expand to its %d bytes", s.Name, size)
	}
	return out, nil
}

// A Symbol is an entry of the symbol table.
type Symbol struct {
	Name    string
	Addr    memory.Address
	Size    uint64
	Type    elf.SymType
	Section elf.SectionIndex
}

// Variable returns the import path and the name of the package-level variable
// that the symbol may represent. Symbols of the linker and the compiler contain
// a colon, a middle dot or two dots and are not variables. Some bytes of an
// import path are escaped as %xx in the table
// (cmd/internal/objabi.PathToPrefix): gopkg.in/yaml.v3 is gopkg.in/yaml%2ev3.
func (s Symbol) Variable() (pkg, name string, ok bool) {
	last := strings.LastIndexByte(s.Name, '/') + 1
	dot := strings.IndexByte(s.Name[last:], '.')
	if dot <= 0 {
		return "", "", false
	}
	pkg, name = s.Name[:last+dot], s.Name[last+dot+1:]
	if name == "" || strings.Contains(s.Name, ":") || strings.ContainsAny(name, ".·") {
		return "", "", false
	}
	if path, err := url.PathUnescape(pkg); err == nil {
		pkg = path
	}
	return pkg, name, true
}

// ErrNoSymbols is wrapped by errors about a file without a symbol table.
var ErrNoSymbols = errors.New("the file has no symbol table")

// Symbols returns the symbol table, in its order. It does not use the dynamic
// symbols, which are those that other files may link to.
func (f *File) Symbols() ([]Symbol, error) {
	table, text, err := f.symtab()
	if err != nil {
		return nil, err
	}
	names := string(text)
	all := make([]Symbol, 0, len(table)/symbolSize)
	for ; len(table) >= symbolSize; table = table[symbolSize:] {
		all = append(all, decodeSymbol(table, names))
	}
	return all, nil
}

// Symbol returns the first defined symbol of that name, without keeping the
// table.
func (f *File) Symbol(name string) (Symbol, error) {
	table, text, err := f.symtab()
	if err != nil {
		return Symbol{}, err
	}
	// Search for the name in the strings, then for its offset in the table: that
	// is much quicker than decoding all names. The name may occur more than once,
	// as the end of another name.
	needle := append([]byte(name), 0)
	offsets := map[uint32]bool{}
	for from := 0; len(offsets) < 64; {
		i := bytes.Index(text[from:], needle)
		if i < 0 {
			break
		}
		offsets[uint32(from+i)] = true
		from += i + 1
	}
	for ; len(table) >= symbolSize && len(offsets) > 0; table = table[symbolSize:] {
		if !offsets[binary.LittleEndian.Uint32(table)] {
			continue
		}
		if sym := decodeSymbol(table, ""); sym.Section != elf.SHN_UNDEF {
			sym.Name = name
			return sym, nil
		}
	}
	return Symbol{}, fmt.Errorf("symbol %s: not in the table", name)
}

func decodeSymbol(b []byte, names string) Symbol {
	le := binary.LittleEndian
	return Symbol{
		Name:    cstring(names, le.Uint32(b)),
		Type:    elf.SymType(b[4] & 0xf),
		Section: elf.SectionIndex(le.Uint16(b[6:])),
		Addr:    memory.Address(le.Uint64(b[8:])),
		Size:    le.Uint64(b[16:]),
	}
}

// symtab returns the bytes of the symbol table and of its names.
func (f *File) symtab() (table, text []byte, err error) {
	if f.secErr != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNoSymbols, f.secErr)
	}
	for _, s := range f.sections {
		if s.Type != elf.SHT_SYMTAB {
			continue
		}
		if int64(s.Link) >= int64(len(f.sections)) {
			return nil, nil, formatError("a symbol table without names")
		}
		if table, err = f.bytes(s.Offset, s.Size); err != nil {
			return nil, nil, fmt.Errorf("symbol table: %w", err)
		}
		names := f.sections[s.Link]
		if text, err = f.bytes(names.Offset, names.Size); err != nil {
			return nil, nil, fmt.Errorf("symbol names: %w", err)
		}
		return table, text, nil
	}
	return nil, nil, ErrNoSymbols
}
