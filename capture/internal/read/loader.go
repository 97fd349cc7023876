package read

import (
	"debug/elf"
	"encoding/binary"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// queueLoader queues what the dynamic loader keeps for debuggers: the
// executable's dynamic section, the loader's rendezvous structure (struct
// r_debug of <link.h>) and its list of shared libraries with their names. With
// these gdb names the C functions that threads are in; without them it
// complains about unreadable memory.
func (r *reading) queueLoader() {
	dynamic := dynamicSection(r.mem, r.program.Identity.Auxv)
	if dynamic.Empty() {
		return
	}
	mem := memory.Reader{Memory: r.mem}
	b, err := mem.Bytes(dynamic.Start, dynamic.Size(), maxDynamic)
	if err != nil {
		return
	}
	r.queue.addTrusted(dynamic)
	var rendezvous memory.Address
	for ; len(b) >= 16 && leWord(b) != uint64(elf.DT_NULL); b = b[16:] {
		if leWord(b) == uint64(elf.DT_DEBUG) {
			rendezvous = memory.Address(leWord(b[8:]))
		}
	}
	const debugSize, mapSize, nameSize, maxLibraries = 40, 40, 256, 512
	if _, err := mem.Bytes(rendezvous, debugSize, debugSize); rendezvous == 0 || err != nil {
		return
	}
	r.queue.addTrusted(memory.RangeOf(rendezvous, debugSize))
	at, err := mem.Pointer(rendezvous + 8)
	for n := 0; err == nil && at != 0 && n < maxLibraries; n++ {
		link, rerr := mem.Bytes(at, mapSize, mapSize)
		if rerr != nil {
			return
		}
		r.queue.addTrusted(memory.RangeOf(at, mapSize))
		name := memory.Address(leWord(link[8:]))
		text := make([]byte, nameSize)
		got, _ := r.mem.ReadAt(text, name) // one name is in the kernel's own pages
		for i, c := range text[:got] {
			if c == 0 {
				r.queue.addTrusted(memory.RangeOf(name, uint64(i+1)))
				break
			}
		}
		at = memory.Address(leWord(link[24:]))
	}
}

// queueHeaders queues the first page of the executable: its headers and its
// build IDs, by which other tools recognize the program.
func (r *reading) queueHeaders() {
	if files := r.program.Identity.Files; len(files) > 0 && files[0].Offset == 0 && !files[0].Write {
		r.queue.addTrusted(memory.RangeOf(files[0].Start, min(pageSize, files[0].Size())))
	}
}

const maxDynamic = 64 << 10

// dynamicSection finds the executable's dynamic section by the program headers,
// whose address the kernel gave to the program.
func dynamicSection(mem memory.Memory, auxv []byte) memory.Range {
	const atPhdr, atPhnum, size, most = 3, 5, 56, 256
	var headers, count uint64
	for b := auxv; len(b) >= 16; b = b[16:] {
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
	b, err := memory.Reader{Memory: mem}.Bytes(memory.Address(headers), count*size, most*size)
	if err != nil {
		return memory.Range{}
	}
	var found memory.Range
	bias := memory.Address(headers) // minus the headers' own address in the file
	for ; len(b) >= size; b = b[size:] {
		addr, bytes := memory.Address(leWord(b[16:])), leWord(b[40:])
		switch elf.ProgType(binary.LittleEndian.Uint32(b)) {
		case elf.PT_PHDR:
			bias -= addr
		case elf.PT_DYNAMIC:
			if bytes <= maxDynamic {
				found = memory.RangeOf(addr, bytes)
			}
		}
	}
	if found.Empty() || bias == memory.Address(headers) {
		return memory.Range{}
	}
	return memory.Range{Start: found.Start + bias, End: found.End + bias}
}

func leWord(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
