package capture

import (
	"debug/elf"
	"encoding/binary"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// wantLoader asks for what the dynamic loader keeps for debuggers: the
// executable's dynamic section, the loader's rendezvous structure (struct
// r_debug of <link.h>) and its list of shared libraries with their names. With
// these gdb names the functions of C that threads stand in; without them it
// complains of memory that it cannot read.
func (t *taking) wantLoader(p *program) {
	dynamic := t.dynamicSection()
	if dynamic.Empty() {
		return
	}
	r := memory.Reader{Memory: t.mem}
	b, err := r.Bytes(dynamic.Start, dynamic.Size(), mostDynamic)
	if err != nil {
		return
	}
	t.wantKnown(dynamic)
	var rendezvous memory.Address
	for ; len(b) >= 16 && leWord(b) != uint64(elf.DT_NULL); b = b[16:] {
		if leWord(b) == uint64(elf.DT_DEBUG) {
			rendezvous = memory.Address(leWord(b[8:]))
		}
	}
	const debugSize, mapSize, nameSize, most = 40, 40, 256, 512
	if _, err := r.Bytes(rendezvous, debugSize, debugSize); rendezvous == 0 || err != nil {
		return
	}
	t.wantKnown(memory.RangeOf(rendezvous, debugSize))
	at, err := r.Pointer(rendezvous + 8)
	for n := 0; err == nil && at != 0 && n < most; n++ {
		link, rerr := r.Bytes(at, mapSize, mapSize)
		if rerr != nil {
			return
		}
		t.wantKnown(memory.RangeOf(at, mapSize))
		name := memory.Address(leWord(link[8:]))
		text := make([]byte, nameSize)
		got, _ := t.mem.ReadAt(text, name) // one is in the kernel's own pages
		for i, c := range text[:got] {
			if c == 0 {
				t.wantKnown(memory.RangeOf(name, uint64(i+1)))
				break
			}
		}
		at = memory.Address(leWord(link[24:]))
	}
}

const mostDynamic = 64 << 10

// dynamicSection finds the executable's dynamic section by the program headers
// that the kernel told the program of.
func (t *taking) dynamicSection() memory.Range {
	const atPhdr, atPhnum, size, most = 3, 5, 56, 256
	var headers, count uint64
	for b := t.auxv; len(b) >= 16; b = b[16:] {
		switch leWord(b) {
		case atPhdr:
			headers = leWord(b[8:])
		case atPhnum:
			count = leWord(b[8:])
		}
	}
	if headers == 0 || count == 0 || count > most {
		return memory.Range{}
	}
	b, err := memory.Reader{Memory: t.mem}.Bytes(memory.Address(headers), count*size, most*size)
	if err != nil {
		return memory.Range{}
	}
	var found memory.Range
	bias := memory.Address(headers) // less the headers' own address in the file
	for ; len(b) >= size; b = b[size:] {
		addr, bytes := memory.Address(leWord(b[16:])), leWord(b[40:])
		switch elf.ProgType(binary.LittleEndian.Uint32(b)) {
		case elf.PT_PHDR:
			bias -= addr
		case elf.PT_DYNAMIC:
			if bytes <= mostDynamic {
				found = memory.RangeOf(addr, bytes)
			}
		}
	}
	if found.Empty() || bias == memory.Address(headers) {
		return memory.Range{}
	}
	return memory.Range{Start: found.Start + bias, End: found.End + bias}
}
