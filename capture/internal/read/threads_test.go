package read

import (
	"testing"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Above a thread's stack are its callers' frames if C or the kernel allocated
// the stack, up to the limit, and arbitrary objects if Go did.
func TestSchedulerEnd(t *testing.T) {
	const end, aligned = 0x7f00003380a0, 0x7f0000339000
	of := func(size uint64, end memory.Address) memory.Range {
		return memory.Range{Start: end - memory.Address(size), End: end}
	}
	known, estimate := of(64<<10, end), of(33<<10, end)
	for _, c := range []struct {
		name  string
		cgo   bool
		stack memory.Range
		limit memory.Address
		want  memory.Address
	}{
		{"allocated by Go", false, of(16<<10, 0xc000338000), 0, 0xc000338000},
		{"limit far away", true, known, end + 8192, end + 1024},
		{"limit near", true, known, end + 100, end + 100},
		{"reported by the C library, which includes variables", true, known, end - 4096, end - 4096},
		{"limit not known, frames of the runtime's own", true, known, 0, end},
		{"limit not known, reported by the C library", true, of(8<<20, aligned), 0, 0},
		{"estimated", true, estimate, end + 8192, end + 8192},
		{"estimated, limit not known", true, estimate, 0, end},
	} {
		if got := schedulerEnd(c.cgo, c.stack, c.limit); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A stack ends where the kernel's initial stack or the thread's variables begin.
func TestLimit(t *testing.T) {
	first := process.Mapping{Range: memory.Range{Start: 0x7ffc00000000, End: 0x7ffc00021000}, Write: true}
	other := process.Mapping{Range: memory.Range{Start: 0x7f0000000000, End: 0x7f0000800000}, Write: true}
	initial := memory.Range{Start: 0x7ffc0001f000, End: first.End}
	const tls = 0x7f00007ff700
	for _, c := range []struct {
		name    string
		machine uint16
		cgo     bool
		stacks  locate.Stacks
		m       process.Mapping
		tls     uint64
		want    memory.Address
	}{
		{"first thread", elfcore.MachineAMD64, false, locate.Stacks{Initial: initial}, first, 0, initial.Start},
		{"first thread, initial stack not known", elfcore.MachineAMD64, false, locate.Stacks{Initial: first.Range}, first, 0, first.Start},
		{"thread of C", elfcore.MachineAMD64, true, locate.Stacks{TLS: 4096, TLSKnown: true}, other, tls, tls - 4096},
		{"thread of C on arm64", elfcore.MachineARM64, true, locate.Stacks{TLS: 4096, TLSKnown: true}, other, tls, tls - 2048},
		{"variables of unknown size", elfcore.MachineAMD64, true, locate.Stacks{}, other, tls, 0},
		{"thread pointer elsewhere", elfcore.MachineAMD64, true, locate.Stacks{TLSKnown: true}, other, 0x7f0000900000, 0},
		{"thread pointer not known", elfcore.MachineAMD64, true, locate.Stacks{TLSKnown: true}, other, 0, 0},
		{"without C", elfcore.MachineAMD64, false, locate.Stacks{}, other, tls, 0},
	} {
		gs := goroutines{reading: &reading{program: &locate.Program{Stacks: c.stacks}}}
		gs.program.Identity.Machine, gs.program.Runtime.Cgo = c.machine, c.cgo
		if got := gs.limit(&c.m, &process.Thread{TLS: c.tls}); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
