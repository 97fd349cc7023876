//go:build linux

package acceptance

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"testing"
)

// pieBase is where a position-independent program is put: about where a kernel
// puts one, in the half of the addresses that an amd64 machine can emulate.
const pieBase = 0x5555_5554_0000

// load converts a program into one that qemu can start. A position-independent
// one names the dynamic loader of arm64, which other systems lack: load
// replaces it by the program as it is in memory after that loader's work, at
// pieBase, until back is called.
func load(t *testing.T, exe string) (back func()) {
	t.Helper()
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Type != elf.ET_DYN {
		return func() {}
	}
	file, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	relocate(t, f, file)
	le := binary.LittleEndian
	const entry, table, size = 24, 32, 56 // e_entry, e_phoff, of a program header
	le.PutUint16(file[16:], uint16(elf.ET_EXEC))
	le.PutUint64(file[entry:], f.Entry+pieBase)
	for i, p := range f.Progs {
		header := file[le.Uint64(file[table:])+uint64(i)*size:]
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			le.PutUint32(header, uint32(elf.PT_NULL))
		}
		le.PutUint64(header[16:], p.Vaddr+pieBase)
		le.PutUint64(header[24:], p.Paddr+pieBase)
	}
	away := exe + ".away"
	if err := os.Rename(exe, away); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, file, 0o700); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Rename(away, exe); err != nil {
			t.Fatal(err)
		}
	}
}

// relocate does in the bytes of f what its relocations ask for.
func relocate(t *testing.T, f *elf.File, file []byte) {
	t.Helper()
	section := f.Section(".rela")
	if section == nil {
		t.Fatal("a position-independent program without relocations")
	}
	relocations, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for ; len(relocations) >= 24; relocations = relocations[24:] {
		at, kind, addend := le.Uint64(relocations), elf.R_AARCH64(le.Uint64(relocations[8:])), le.Uint64(relocations[16:])
		if kind != elf.R_AARCH64_RELATIVE {
			t.Fatalf("a relocation %v", kind)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_LOAD && p.Vaddr <= at && at < p.Vaddr+p.Filesz {
				le.PutUint64(file[p.Off+at-p.Vaddr:], addend+pieBase)
			}
		}
	}
}
