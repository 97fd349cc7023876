package unwind_test

import (
	"encoding/binary"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/unwind"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// words is memory from address 0x1000 on.
type words []byte

func (w words) ReadAt(p []byte, addr memory.Address) (int, error) {
	off := uint64(addr - 0x1000)
	if off >= uint64(len(w)) {
		return 0, memory.Unreadable(addr, memory.ErrNotMapped)
	}
	n := copy(p, w[off:])
	if n < len(p) {
		return n, memory.Unreadable(addr.Add(uint64(n)), memory.ErrNotMapped)
	}
	return n, nil
}

// BenchmarkCaller measures a call of a deep recursion: a program is stopped while
// they are followed.
func BenchmarkCaller(b *testing.B) {
	const frame = 40
	f := unwind.Function{Name: "main.f", Frame: frame}
	var stack words
	for range b.N {
		stack = append(stack, make([]byte, frame)...)
		stack = binary.LittleEndian.AppendUint64(stack, 0x400010)
	}
	u := unwind.New(elfcore.MachineAMD64, stack, func(memory.Address) (unwind.Function, bool) { return f, true })
	at := goroutine.Place{PC: 0x400010, SP: 0x1000}
	within := memory.RangeOf(at.SP, uint64(len(stack)))
	b.ResetTimer()
	for range b.N {
		caller, err := u.Caller(at, f, within)
		if err != nil {
			b.Fatal(err)
		}
		at = caller
	}
}
