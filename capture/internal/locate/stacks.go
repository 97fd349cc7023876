package locate

import (
	"debug/elf"
	"encoding/binary"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
)

// Stacks limits the stacks that C or the kernel allocated: their mappings also
// contain other memory.
type Stacks struct {
	// Initial is the data that the kernel stored above the first frame of the
	// first thread: arguments, environment, auxiliary vector and their strings. If
	// its start is unknown, Initial is the whole mapping.
	Initial memory.Range

	// TLS is an upper bound of the bytes next to a thread pointer that may be
	// thread-local variables. It is valid only if TLSKnown is true.
	TLS      uint64
	TLSKnown bool
}

// findStacks finds the limits of stacks.
func (p *Program) findStacks() {
	for i := range p.Maps {
		if m := &p.Maps[i]; m.Path == stackName {
			p.Stacks.Initial = p.initialStack(m.Range)
		}
	}
	if p.Runtime.Cgo {
		p.Stacks.TLS, p.Stacks.TLSKnown = sizeOfTLS(p.Maps, p.Source.Memory())
	}
}

// stackName is the name of the mapping of the first thread's stack.
const stackName = "[stack]"

// initialStack returns the part of the first thread's stack that existed before
// the program ran. The kernel reports its start; a full core has it next to the
// auxiliary vector.
func (p *Program) initialStack(stack memory.Range) memory.Range {
	start := p.Identity.Stat.StackStart
	if !stack.Contains(start) {
		var ok bool
		if start, ok = process.InitialStack(p.Source.Memory(), stack, p.Identity.Auxv); !ok {
			return stack
		}
	}
	return memory.Range{Start: start, End: stack.End}
}

// sizeOfTLS returns the maximum size of the thread-local variables of all
// mapped ELF files together. It returns false if the headers of a file cannot
// be read.
func sizeOfTLS(maps []process.Mapping, mem memory.Memory) (total uint64, known bool) {
	const headerSize, programSize, maxPrograms, maxTLS = 64, 56, 512, 1 << 30
	r := memory.Reader{Memory: mem}
	le := binary.LittleEndian
	for i := range maps {
		m := &maps[i]
		if m.Inode == 0 || m.Offset != 0 || !m.Read || m.Size() < headerSize {
			continue
		}
		head, err := r.Bytes(m.Start, headerSize, headerSize)
		if err != nil {
			return 0, false
		}
		if string(head[:4]) != elf.ELFMAG {
			continue
		}
		at, count := le.Uint64(head[32:]), uint64(le.Uint16(head[56:]))
		if count > maxPrograms || at > m.Size() {
			return 0, false
		}
		table, err := r.Bytes(m.Start.Add(at), count*programSize, maxPrograms*programSize)
		if err != nil {
			return 0, false
		}
		for ; len(table) >= programSize; table = table[programSize:] {
			if elf.ProgType(le.Uint32(table)) != elf.PT_TLS {
				continue
			}
			size, align := le.Uint64(table[40:]), le.Uint64(table[48:])
			if size > maxTLS || align > maxTLS {
				return 0, false
			}
			total += size + align
		}
	}
	return total, true
}
