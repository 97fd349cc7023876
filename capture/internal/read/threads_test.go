package read

import (
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// What stands above a thread's stack is its caller's where C or the kernel made
// the stack, and anybody's object where Go did: a skeleton of that would
// overwrite it.
func TestCallersEnd(t *testing.T) {
	const end, amd64 = 0xc000338000, elfcore.MachineAMD64
	heap := process.Mapping{Range: memory.Range{Start: 0xc000000000, End: 0xc000400000}, Write: true}
	first := heap
	first.Path = "[stack]"
	for _, c := range []struct {
		name    string
		machine uint16
		cgo     bool
		m       process.Mapping
		tls     uint64
		want    memory.Address
	}{
		{"allotted by Go, storage in another object", amd64, false, heap, 0xc00038a090, end},
		{"allotted by Go for signals, in a program with C", amd64, true, heap, 0x7f0000001000, end},
		{"made by C, its variables on top", amd64, true, heap, 0xc0003ff700, end + 1024},
		{"made by C, no room below its variables", amd64, true, heap, end + 100, end},
		{"made by C for arm64, whose record of the thread is below the thread pointer", elfcore.MachineARM64, true, heap, end + 2048 + 64, end + 64},
		{"the first thread's", amd64, false, first, 0x66db28, end + 128},
	} {
		th := &process.Thread{TLS: c.tls}
		if got := callersEnd(c.machine, c.cgo, &c.m, th, end); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
