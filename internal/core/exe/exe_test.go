package exe_test

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// A maker builds a small ELF file: headers, then parts.
type maker struct {
	typ      elf.Type
	machine  elf.Machine
	programs []elf.Prog64
	data     []byte // from offset 0x1000 on
}

const dataOffset = 0x1000

func (m *maker) bytes() []byte {
	var b bytes.Buffer
	h := elf.Header64{
		Type: uint16(m.typ), Machine: uint16(m.machine), Version: 1, Entry: 0x401000,
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: uint16(len(m.programs)), Shentsize: 64,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	_ = binary.Write(&b, binary.LittleEndian, h) // a buffer takes everything
	for _, p := range m.programs {
		_ = binary.Write(&b, binary.LittleEndian, p)
	}
	return append(append(b.Bytes(), make([]byte, dataOffset-b.Len())...), m.data...)
}

func load(addr, off, filesz, memsz uint64, flags elf.ProgFlag) elf.Prog64 {
	return elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(flags), Off: off, Vaddr: addr, Filesz: filesz, Memsz: memsz}
}

func words(all ...uint64) []byte {
	var b []byte
	for _, w := range all {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// moved is a shared object with one data segment at 0x10000 whose words have
// every kind of relocation.
func moved(machine elf.Machine) []byte {
	relative, symbolic, slot := uint64(elf.R_X86_64_RELATIVE), uint64(elf.R_X86_64_64), uint64(elf.R_X86_64_GLOB_DAT)
	if machine == elf.EM_AARCH64 {
		relative, symbolic, slot = uint64(elf.R_AARCH64_RELATIVE), uint64(elf.R_AARCH64_ABS64), uint64(elf.R_AARCH64_GLOB_DAT)
	}
	const base = 0x10000
	data := words(
		// 0x10000: the words, as stored in the file
		0, 0, 0, 0, 0x10100, 0x10108, 0x1111, 0x2222,
		// 0x10040: the dynamic section
		uint64(elf.DT_RELA), base+0xe0, uint64(elf.DT_RELASZ), 4*24, uint64(elf.DT_SYMTAB), base+0x140,
		35, 16, 36, base+0x188, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		// 0x100e0: DT_RELA
		base+0, relative, base+0x100,
		base+8, 1<<32|symbolic, 0x10,
		base+16, 2<<32|symbolic, 0x10,
		base+24, 1<<32|slot, 0,
		// 0x10140: symbols: none, one defined, one not
		0, 0, 0,
		1|uint64(elf.STT_OBJECT)<<32|1<<48, base+0x200, 8,
		1|uint64(elf.STT_OBJECT)<<32, 0, 0,
		// 0x10188: DT_RELR: the word at 0x10020, and the one after it
		base+0x20, 0b11,
	)
	m := maker{typ: elf.ET_DYN, machine: machine, data: data, programs: []elf.Prog64{
		load(base, dataOffset, uint64(len(data)), 0x300, elf.PF_R|elf.PF_W),
		{Type: uint32(elf.PT_DYNAMIC), Off: dataOffset + 0x40, Vaddr: base + 0x40, Filesz: 0xa0, Memsz: 0xa0},
	}}
	return m.bytes()
}

func open(tb testing.TB, data []byte) *exe.File {
	tb.Helper()
	f, err := exe.New(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// Relocated words are what the loader would write, at any load address and for
// any bounds of a read.
func TestRelocations(t *testing.T) {
	for _, machine := range []elf.Machine{elf.EM_X86_64, elf.EM_AARCH64} {
		f := open(t, moved(machine))
		for _, bias := range []memory.Address{0, 0x5500_0000_0000} {
			image := f.Loaded(bias)
			b := uint64(bias)
			want := words(b+0x10100, b+0x10210, 0, b+0x10200, b+0x10100, b+0x10108, 0x1111, 0x2222)
			for start := range len(want) {
				for end := start; end <= len(want); end++ {
					got := make([]byte, end-start)
					if n, err := image.ReadAt(got, bias+0x10000+memory.Address(start)); err != nil || n != len(got) || !bytes.Equal(got, want[start:end]) {
						t.Fatalf("%v moved by %v, [%d,%d): % x, %v; want % x", machine, bias, start, end, got, err, want[start:end])
					}
				}
			}
		}
	}
}

func TestSegments(t *testing.T) {
	m := maker{typ: elf.ET_EXEC, machine: elf.EM_X86_64, data: []byte("code....data"), programs: []elf.Prog64{
		load(0x600000, dataOffset+8, 4, 0x10, elf.PF_R|elf.PF_W), // not in the order of addresses
		load(0x400000, dataOffset, 4, 4, elf.PF_R|elf.PF_X),
	}}
	f := open(t, m.bytes())
	for _, c := range []struct {
		addr memory.Address
		size int
		want string
		bad  memory.Address
	}{
		{0x400000, 4, "code", 0},
		{0x400002, 4, "de", 0x400004}, // the next bytes of the file are not memory
		{0x600000, 8, "data\x00\x00\x00\x00", 0},
		{0x60000e, 4, "\x00\x00", 0x600010},
		{0x3fffff, 1, "", 0x3fffff},
		{0x500000, 1, "", 0x500000},
	} {
		p := make([]byte, c.size)
		n, err := f.ReadAt(p, c.addr)
		var bad *memory.UnreadableError
		if string(p[:n]) != c.want || (c.bad != 0) != errors.As(err, &bad) || bad != nil && bad.Addr != c.bad {
			t.Errorf("%v: %q, %v; want %q and an error at %v", c.addr, p[:n], err, c.want, c.bad)
		}
	}
	if segs := f.Segments(); len(segs) != 2 || segs[0].Start != 0x400000 || !segs[0].Exec || segs[0].Write || !segs[1].Write || segs[1].Size() != 16 {
		t.Errorf("segments %+v", segs)
	}
}

// Files of other kinds, and files with contradicting headers.
func TestRefused(t *testing.T) {
	good := func() *maker {
		return &maker{typ: elf.ET_EXEC, machine: elf.EM_X86_64, data: make([]byte, 64), programs: []elf.Prog64{load(0x400000, dataOffset, 64, 64, elf.PF_R)}}
	}
	for _, c := range []struct {
		name string
		make func() []byte
		want string
	}{
		{"empty", func() []byte { return nil }, "too few"},
		{"text", func() []byte { return []byte(strings.Repeat("x", 100)) }, "does not begin as an ELF file"},
		{"32 bits", func() []byte { b := good().bytes(); b[elf.EI_CLASS] = 1; return b }, "a 32-bit program"},
		{"big-endian", func() []byte { b := good().bytes(); b[elf.EI_DATA] = 2; return b }, "a big-endian program"},
		{"object file", func() []byte { m := good(); m.typ = elf.ET_REL; return m.bytes() }, "ET_REL"},
		{"core", func() []byte { m := good(); m.typ = elf.ET_CORE; return m.bytes() }, "ET_CORE"},
		{"riscv", func() []byte { m := good(); m.machine = elf.EM_RISCV; return m.bytes() }, "EM_RISCV"},
		{"no programs", func() []byte { m := good(); m.programs = nil; return m.bytes() }, "no program headers"},
		{"nothing loaded", func() []byte { m := good(); m.programs[0].Type = 4; return m.bytes() }, "nothing in it is loaded"},
		{"cut off", func() []byte { return good().bytes()[:dataOffset+10] }, "cut short"},
		{"program headers cut off", func() []byte { return good().bytes()[:80] }, "cut short"},
		{"less memory than file", func() []byte { m := good(); m.programs[0].Memsz = 10; return m.bytes() }, "64 bytes in the file and 10 in memory"},
		{"around the end", func() []byte { m := good(); m.programs[0].Vaddr = 1<<64 - 16; return m.bytes() }, "ends after the last address"},
		{"overlap", func() []byte {
			m := good()
			m.programs = append(m.programs, load(0x40003f, dataOffset, 1, 1, elf.PF_R))
			return m.bytes()
		}, "overlap"},
		{"offset beyond", func() []byte { m := good(); m.programs[0].Off = 1 << 63; return m.bytes() }, "cut short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := c.make()
			f, err := exe.New(bytes.NewReader(data), int64(len(data)))
			if f != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error with %q", err, c.want)
			}
		})
	}
}

// The GNU build ID is found where Go's linker writes it, outside all program
// headers, as debug/elf finds it by its section.
func TestBuildIDs(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sections, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer sections.Close()
	const head = 16 // of a note with a name of four bytes
	want := map[string]string{}
	for _, name := range []string{".note.go.buildid", ".note.gnu.build-id"} {
		note, err := sections.Section(name).Data()
		if err != nil {
			t.Fatal(err)
		}
		want[name] = string(note[head : head+binary.LittleEndian.Uint32(note[4:])])
	}
	f, err := exe.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	goID, gnuID := f.BuildIDs()
	if goID != want[".note.go.buildid"] || gnuID != hex.EncodeToString([]byte(want[".note.gnu.build-id"])) {
		t.Errorf("%q and %q, want %q", goID, gnuID, want)
	}
}

// A file that shrinks while it is read gives errors, not zeros.
func TestShrinks(t *testing.T) {
	m := maker{typ: elf.ET_EXEC, machine: elf.EM_X86_64, data: make([]byte, 128<<10), programs: []elf.Prog64{load(0x400000, dataOffset, 128<<10, 128<<10, elf.PF_R)}}
	path := t.TempDir() + "/program"
	if err := os.WriteFile(path, m.bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := exe.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 64<<10); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{16, 100 << 10} {
		p := make([]byte, size)
		n, err := f.ReadAt(p, 0x400000+60<<10-8)
		var bad *memory.UnreadableError
		if want := 64<<10 - dataOffset - 60<<10 + 8; n > max(want, 0) || !errors.As(err, &bad) {
			t.Errorf("%d bytes: %d, %v", size, n, err)
		}
	}
}

// Compressed data expands to the size that it declares, and no further.
func TestCompressed(t *testing.T) {
	var z bytes.Buffer
	z.Write(words(uint64(elf.COMPRESS_ZLIB), 1000, 1))
	w := zlib.NewWriter(&z)
	if _, err := w.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	m := maker{typ: elf.ET_EXEC, machine: elf.EM_X86_64, data: z.Bytes(), programs: []elf.Prog64{load(0x400000, dataOffset, 8, 8, elf.PF_R)}}
	f := open(t, m.bytes())
	s := exe.Section{Name: ".debug_info", Type: elf.SHT_PROGBITS, Flags: elf.SHF_COMPRESSED, Offset: dataOffset, Size: uint64(z.Len())}
	if b, err := f.Data(s, 1000); err != nil || len(b) != 1000 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if b, err := f.Data(s, 999); err == nil {
		t.Errorf("%d bytes over the limit", len(b))
	}
	binary.LittleEndian.PutUint64(m.data[8:], 500) // less than it expands to
	if b, err := open(t, m.bytes()).Data(s, 1000); err == nil {
		t.Errorf("%d bytes, and it reports 500", len(b))
	}
}

// Every method can be called on any file; the bytes read are within its
// segments.
func FuzzNew(f *testing.F) {
	f.Add(moved(elf.EM_X86_64))
	f.Add(moved(elf.EM_AARCH64))
	f.Add((&maker{typ: elf.ET_EXEC, machine: elf.EM_X86_64, data: []byte("data"), programs: []elf.Prog64{load(0x400000, dataOffset, 4, 1<<40, elf.PF_R|elf.PF_W)}}).bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := exe.New(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if file != nil {
				t.Error("an error with a file")
			}
			return
		}
		file.BuildIDs()
		file.Hints()
		_, _ = file.Symbols() // an error is fine, a panic is not
		_, _ = file.Symbol("runtime.text")
		sections, _ := file.Sections()
		for _, s := range sections {
			if b, err := file.Data(s, 1<<20); err == nil && len(b) > 1<<20 {
				t.Errorf("section %q: %d bytes over the limit", s.Name, len(b))
			}
		}
		p := make([]byte, 256)
		last := memory.Address(0)
		for _, seg := range file.Segments() {
			if seg.Empty() || seg.Start < last {
				t.Fatalf("segments %v", file.Segments())
			}
			last = seg.End
			for _, addr := range []memory.Address{seg.Start, seg.End - 1, seg.Start - 8} {
				n, err := file.ReadAt(p, addr)
				var bad *memory.UnreadableError
				if n < len(p) && (!errors.As(err, &bad) || bad.Addr != addr.Add(uint64(n))) || n == len(p) && err != nil {
					t.Errorf("read at %v: %d, %v", addr, n, err)
				}
			}
		}
	})
}

// The import path of a variable is read as the compiler writes it.
func TestVariable(t *testing.T) {
	for symbol, want := range map[string][2]string{
		"main.count":                 {"main", "count"},
		"net/http.DefaultTransport":  {"net/http", "DefaultTransport"},
		"gopkg.in/yaml%2ev3.count":   {"gopkg.in/yaml.v3", "count"},
		"example.com/k%c3%a4se.kind": {"example.com/käse", "kind"},
		"example.com/half%2.kind":    {"example.com/half%2", "kind"},
		"example.com/broken%2":       {},
		"example.com/shop.f.g":       {},
		"go:itab.*os.File,io.Reader": {},
		"main..inittask":             {},
		"example.com/shop":           {},
		"example.com/shop.":          {},
		"x_cgo_init":                 {},
		"":                           {},
	} {
		pkg, name, ok := exe.Symbol{Name: symbol}.Variable()
		if got := [2]string{pkg, name}; got != want || ok != (want != [2]string{}) {
			t.Errorf("%q: %q, %v; want %q", symbol, got, ok, want)
		}
	}
}
