package describe

import (
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/runtime/format/vmcoreinfo"
)

// A gLayout contains the offsets in runtime.g that differ between Go versions.
// They are the same on all 64-bit machines. A test compares them with the DWARF
// of programs built by each toolchain.
type gLayout struct{ gobufBP, syscallSP, syscallPC, syscallBP, status, goid uint64 }

// runtimeLayouts describes where a reader finds a goroutine's stack, state and
// ID. It writes nothing for an unknown Go version.
func runtimeLayouts(t *vmcoreinfo.Text, version string) {
	var g gLayout
	switch minor := goMinor(version); {
	case strconv.IntSize != 64:
		return
	case minor == 24:
		g = gLayout{48, 112, 120, 128, 152, 160}
	case minor >= 25 && minor <= 27:
		g = gLayout{40, 104, 112, 120, 144, 152}
	default:
		return
	}
	t.Offset("runtime.g", "stack", 0)
	t.Offset("runtime.stack", "lo", 0)
	t.Offset("runtime.stack", "hi", 8)
	t.Offset("runtime.g", "sched", 56)
	t.Offset("runtime.gobuf", "sp", 0)
	t.Offset("runtime.gobuf", "pc", 8)
	t.Offset("runtime.gobuf", "g", 16)
	t.Offset("runtime.gobuf", "bp", g.gobufBP)
	t.Offset("runtime.g", "syscallsp", g.syscallSP)
	t.Offset("runtime.g", "syscallpc", g.syscallPC)
	t.Offset("runtime.g", "syscallbp", g.syscallBP)
	t.Offset("runtime.g", "atomicstatus", g.status)
	t.Offset("runtime.g", "goid", g.goid)
}

// goMinor returns 26 for go1.26.8, and 0 for anything that is not a release.
func goMinor(version string) int {
	rest, ok := strings.CutPrefix(version, "go1.")
	if !ok {
		return 0
	}
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(rest[:end])
	if err != nil {
		return 0
	}
	return n
}
