package build

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Of what the kernel saved for a signal handler the vector registers are
// overwritten, wherever it is on the stack and however the stack was read, and
// nothing else. What only looks like it stays.
func TestRedactSignalFrames(t *testing.T) {
	const start, size = 0x7f0000001000, 8 << 10
	le := binary.LittleEndian
	amd64 := func(b []byte, at, state int) (registers []memory.Range) {
		le.PutUint32(b[at+464:], fpxMagic1)
		le.PutUint32(b[at+464+16:], uint32(state))
		if at+state+4 <= len(b) {
			le.PutUint32(b[at+state:], fpxMagic2)
		}
		return []memory.Range{{Start: memory.Address(at + 32), End: memory.Address(at + 416)}, {Start: memory.Address(at + 576), End: memory.Address(min(at+state, len(b)))}}
	}
	arm64 := func(b []byte, at int, magic uint32, record int) (registers []memory.Range) {
		le.PutUint32(b[at:], magic)
		le.PutUint32(b[at+4:], uint32(record))
		return []memory.Range{{Start: memory.Address(at + 16), End: memory.Address(min(at+record, len(b)))}}
	}
	for _, c := range []struct {
		name    string
		machine uint16
		plant   func(b []byte) []memory.Range
	}{
		{"none", elfcore.MachineAMD64, func([]byte) []memory.Range { return nil }},
		{"AVX", elfcore.MachineAMD64, func(b []byte) []memory.Range { return amd64(b, 64, 832) }},
		{"AVX-512, AMX", elfcore.MachineAMD64, func(b []byte) []memory.Range {
			return append(amd64(b, 0, 2696), amd64(b, 3072, 4000)...)
		}},
		{"beyond the end", elfcore.MachineAMD64, func(b []byte) []memory.Range { return amd64(b, size-1024, 2696) }},
		{"another place", elfcore.MachineAMD64, func(b []byte) []memory.Range { amd64(b, 8, 832); return nil }},
		{"another value", elfcore.MachineAMD64, func(b []byte) []memory.Range {
			amd64(b, 64, 832)
			b[64+832]++
			return nil
		}},
		{"no size", elfcore.MachineAMD64, func(b []byte) []memory.Range { amd64(b, 64, 8); return nil }},
		{"arm64", elfcore.MachineARM64, func(b []byte) []memory.Range {
			return append(arm64(b, 16, fpsimdMagic, 528), arm64(b, 1024, sveMagic, 2048)...)
		}},
		{"arm64, beyond the end", elfcore.MachineARM64, func(b []byte) []memory.Range { return arm64(b, size-64, fpsimdMagic, 528) }},
		{"arm64, no record", elfcore.MachineARM64, func(b []byte) []memory.Range { arm64(b, 16, fpsimdMagic, 7); return nil }},
		{"of another machine", elfcore.MachineARM64, func(b []byte) []memory.Range { amd64(b, 64, 832); return nil }},
	} {
		for _, step := range []int{size, 1000, 64, 8} { // pieces of the image
			stack := bytes.Repeat([]byte("register"), size/8)
			registers := c.plant(stack)
			want := bytes.Clone(stack)
			for _, r := range registers {
				for i := r.Start; i < r.End; i++ {
					want[i] = elfcore.MarkByte
				}
			}
			s := &model.Snapshot{}
			s.Identity.Machine = c.machine
			whole := memory.RangeOf(start, size)
			s.Goroutines.Stacks = []model.Stack{{Used: whole, Whole: whole}}
			for at := 0; at < size; at += step {
				data := stack[at:min(at+step, size)]
				s.Image.Pieces = append(s.Image.Pieces, model.Piece{Range: memory.RangeOf(start+memory.Address(at), uint64(len(data))), Data: data})
			}
			redactSignalFrames(s)
			for i := range stack {
				if stack[i] != want[i] {
					t.Errorf("%s, in pieces of %d: byte %d is %#x, want %#x", c.name, step, i, stack[i], want[i])
					break
				}
			}
		}
	}
}
