package exe

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A reloc is a word that the dynamic loader writes.
type reloc struct {
	addr  memory.Address
	value uint64 // the bias is added to it, unless absent or fixed
	kind  relocKind
}

type relocKind uint8

const (
	relocMoved  relocKind = iota // value + bias
	relocFixed                   // value
	relocAbsent                  // from another file, or computed: reads as zero
)

// relocate writes the loader's values into p, which was read from addr.
func (f *File) relocate(p []byte, addr, bias memory.Address) error {
	if f.Type != elf.ET_DYN || len(p) == 0 {
		return nil // the file contains the final pointers
	}
	f.relocs.once.Do(func() {
		f.relocs.sorted, f.relocs.err = f.readRelocs()
		if f.relocs.err != nil {
			f.relocs.err = fmt.Errorf("relocations: %w", f.relocs.err)
		}
	})
	if f.relocs.err != nil {
		return f.relocs.err
	}
	all := f.relocs.sorted
	// The first word that ends after addr; words may begin before it.
	at := sort.Search(len(all), func(i int) bool { return all[i].addr.Add(8) > addr })
	end := addr.Add(uint64(len(p)))
	for ; at < len(all) && all[at].addr < end; at++ {
		r := all[at]
		value := r.value
		if r.kind == relocMoved {
			value += uint64(bias)
		}
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], value)
		if r.addr >= addr {
			copy(p[r.addr-addr:], word[:])
		} else {
			copy(p, word[addr-r.addr:])
		}
	}
	return nil
}

// word reads eight bytes from the file, without relocations.
func (f *File) word(addr memory.Address) (uint64, error) {
	var b [8]byte
	if err := f.raw(b[:], addr); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// raw reads all of p from one segment, without relocations.
func (f *File) raw(p []byte, addr memory.Address) error {
	for _, l := range f.loads {
		if !l.memory().ContainsRange(memory.RangeOf(addr, uint64(len(p)))) {
			continue
		}
		n, err := f.readSegment(p, addr, l)
		if n == len(p) {
			return nil
		}
		return err
	}
	return memory.Unreadable(addr, memory.ErrNotMapped)
}

// rawBytes reads size bytes of the file that are loaded at addr.
func (f *File) rawBytes(addr memory.Address, size uint64) ([]byte, error) {
	for _, l := range f.loads {
		off := uint64(addr - l.addr)
		if addr >= l.addr && off <= l.filesz && size <= l.filesz-off {
			return f.bytes(l.offset+off, size)
		}
	}
	return nil, formatError("%d bytes at %v are not in the file", size, addr)
}

// dynamic returns the entries of the dynamic section by tag; for a repeated
// tag, the last.
func (f *File) dynamic() (map[elf.DynTag]uint64, error) {
	entries := map[elf.DynTag]uint64{}
	for _, p := range f.programs {
		if p.typ != elf.PT_DYNAMIC {
			continue
		}
		table, err := f.bytes(p.offset, p.filesz)
		if err != nil {
			return nil, err
		}
		for ; len(table) >= dynamicSize; table = table[dynamicSize:] {
			tag := elf.DynTag(binary.LittleEndian.Uint64(table))
			if tag == elf.DT_NULL {
				break
			}
			entries[tag] = binary.LittleEndian.Uint64(table[8:])
		}
	}
	return entries, nil
}

// Tags that package debug/elf does not name.
const (
	dtRelrSize elf.DynTag = 35
	dtRelr     elf.DynTag = 36
)

// readRelocs reads the relocations of the dynamic section, sorted by address.
// If several apply to one word, the last one wins, as in the loader.
func (f *File) readRelocs() ([]reloc, error) {
	dyn, err := f.dynamic()
	if err != nil {
		return nil, err
	}
	var all []reloc
	if size := dyn[dtRelrSize]; size != 0 {
		table, err := f.rawBytes(memory.Address(dyn[dtRelr]), size)
		if err != nil {
			return nil, err
		}
		if all, err = f.relr(all, table); err != nil {
			return nil, err
		}
	}
	for _, tags := range [][2]elf.DynTag{{elf.DT_RELA, elf.DT_RELASZ}, {elf.DT_JMPREL, elf.DT_PLTRELSZ}} {
		size := dyn[tags[1]]
		if size == 0 {
			continue
		}
		table, err := f.rawBytes(memory.Address(dyn[tags[0]]), size)
		if err != nil {
			return nil, err
		}
		if all, err = f.rela(all, table, memory.Address(dyn[elf.DT_SYMTAB])); err != nil {
			return nil, err
		}
	}
	byAddr := func(a, b reloc) int { return a.addr.Compare(b.addr) }
	if !slices.IsSortedFunc(all, byAddr) {
		slices.SortStableFunc(all, byAddr)
	}
	return all, nil
}

// rela appends the relocations of a DT_RELA table.
func (f *File) rela(all []reloc, table []byte, symtab memory.Address) ([]reloc, error) {
	all = slices.Grow(all, len(table)/relaSize)
	for ; len(table) >= relaSize; table = table[relaSize:] {
		r := reloc{addr: memory.Address(binary.LittleEndian.Uint64(table))}
		info := binary.LittleEndian.Uint64(table[8:])
		addend := binary.LittleEndian.Uint64(table[16:])
		kind, known := f.relocType(uint32(info))
		switch {
		case !known: // another size, or not data: leave the word unchanged
			continue
		case kind == relocMoved:
			r.value = addend
		default: // names a symbol
			value, kind, err := f.symbolValue(symtab, info>>32)
			if err != nil {
				return nil, err
			}
			r.value, r.kind = value, kind
			if kind != relocAbsent && hasAddend(f.Arch, uint32(info)) {
				r.value += addend
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// relocType reports whether a relocation of that type writes a whole word, and
// whether it does so without a symbol (relocMoved) or from one (relocFixed).
func (f *File) relocType(typ uint32) (relocKind, bool) {
	switch f.Arch {
	case AMD64:
		switch elf.R_X86_64(typ) {
		case elf.R_X86_64_RELATIVE:
			return relocMoved, true
		case elf.R_X86_64_64, elf.R_X86_64_GLOB_DAT, elf.R_X86_64_JMP_SLOT:
			return relocFixed, true
		}
	case ARM64:
		switch elf.R_AARCH64(typ) {
		case elf.R_AARCH64_RELATIVE:
			return relocMoved, true
		case elf.R_AARCH64_ABS64, elf.R_AARCH64_GLOB_DAT, elf.R_AARCH64_JUMP_SLOT:
			return relocFixed, true
		}
	}
	return 0, false
}

// hasAddend reports whether the addend is used: by the amd64 ABI, GLOB_DAT and
// JUMP_SLOT are the symbol alone.
func hasAddend(arch Arch, typ uint32) bool {
	return arch != AMD64 || elf.R_X86_64(typ) == elf.R_X86_64_64
}

// symbolValue returns the value of a dynamic symbol that this file defines.
func (f *File) symbolValue(symtab memory.Address, index uint64) (uint64, relocKind, error) {
	var sym [symbolSize]byte
	if err := f.raw(sym[:], symtab.Add(index*symbolSize)); err != nil {
		return 0, 0, fmt.Errorf("dynamic symbol %d: %w", index, err)
	}
	value := binary.LittleEndian.Uint64(sym[8:])
	switch section := elf.SectionIndex(binary.LittleEndian.Uint16(sym[6:])); {
	case section == elf.SHN_UNDEF, elf.SymType(sym[4]&0xf) == elf.STT_GNU_IFUNC, elf.SymType(sym[4]&0xf) == elf.STT_TLS:
		return 0, relocAbsent, nil
	case section == elf.SHN_ABS:
		return value, relocFixed, nil
	}
	return value, relocMoved, nil
}

var errRelr = errors.New("a packed table that names more words than the file has")

// relr appends the relocations of a DT_RELR table: an even word is the address
// of a word to move, an odd one a bitmap of the 63 words that follow it.
func (f *File) relr(all []reloc, table []byte) ([]reloc, error) {
	var next memory.Address
	// A bitmap expands to 63 words of 8 bytes. Valid tables refer to words of the
	// file, so the file's size bounds the result.
	most := int(f.size / 8)
	add := func(addr memory.Address) error {
		if len(all) >= most {
			return errRelr
		}
		value, err := f.word(addr)
		if err != nil {
			return err
		}
		all = append(all, reloc{addr: addr, value: value, kind: relocMoved})
		return nil
	}
	for ; len(table) >= 8; table = table[8:] {
		word := binary.LittleEndian.Uint64(table)
		if word&1 == 0 {
			if err := add(memory.Address(word)); err != nil {
				return nil, err
			}
			next = memory.Address(word).Add(8)
			continue
		}
		for bit := range uint64(63) {
			if word>>(bit+1)&1 == 0 {
				continue
			}
			if err := add(next.Add(bit * 8)); err != nil {
				return nil, err
			}
		}
		next = next.Add(63 * 8)
	}
	return all, nil
}
