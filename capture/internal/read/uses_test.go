package read

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// The addresses in code are those that the assembler puts there.
func TestAddressesIn(t *testing.T) {
	const at = memory.Address(0x401000)
	for _, test := range []struct {
		name    string
		machine uint16
		code    []byte
		want    memory.Address
	}{
		{"lea -0x10(%rip),%rax", elfcore.MachineAMD64, []byte{0x90, 0x48, 0x8d, 0x05, 0xf0, 0xff, 0xff, 0xff}, at + 8 - 0x10},
		{"lock cmpxchg %ecx,0x1234(%rip)", elfcore.MachineAMD64, []byte{0xf0, 0x0f, 0xb1, 0x0d, 0x34, 0x12, 0, 0}, at + 8 + 0x1234},
		{"adrp x0, +0x5000; add x0, x0, #0x123", elfcore.MachineARM64, words32(0xd503201f, 0xb0000020, 0x91048c00), 0x406123},
		{"adrp x27, -0x1000; add x0, x27, #8", elfcore.MachineARM64, words32(0xf0fffffb, 0x91002360), 0x400008},
	} {
		if got := slices.Collect(addressesIn(test.code, at, test.machine)); !slices.Contains(got, test.want) {
			t.Errorf("%s: %x, want %v", test.name, got, test.want)
		}
	}
}

func words32(words ...uint32) (code []byte) {
	for _, w := range words {
		code = binary.LittleEndian.AppendUint32(code, w)
	}
	return code
}

// Calls and jumps, in both directions, have the targets that their processors define.
func TestCallsIn(t *testing.T) {
	const at = 0x401000
	for _, test := range []struct {
		name    string
		machine uint16
		code    []byte
		want    memory.Address
	}{
		{"amd64 call back", elfcore.MachineAMD64, []byte{0x90, 0xe8, 0xfb, 0xef, 0xff, 0xff}, 0x400001},
		{"amd64 jump", elfcore.MachineAMD64, []byte{0xe9, 0x00, 0x10, 0x00, 0x00}, 0x402005},
		{"arm64 call back", elfcore.MachineARM64, []byte{0x1f, 0x20, 0x03, 0xd5, 0xff, 0xfb, 0xff, 0x97}, 0x400000},
		{"arm64 branch", elfcore.MachineARM64, []byte{0x00, 0x04, 0x00, 0x14}, 0x402000},
	} {
		if got := slices.Collect(callsIn(test.code, at, test.machine)); !slices.Equal(got, []memory.Address{test.want}) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
