package build

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// TestTrimStates: all threads have a state of one size, that of the components
// that at least one of them uses, without those that are marks in each.
func TestTrimStates(t *testing.T) {
	const amx, all = 1<<17 | 1<<18, xLegacy | xAVX | xAVX512 | xPKRU | 1<<17 | 1<<18
	state := func(size int, bv uint64, pkru uint32) process.Thread {
		b := make([]byte, size)
		binary.LittleEndian.PutUint64(b[xcr0Offset:], all)
		binary.LittleEndian.PutUint64(b[xstateBV:], bv)
		if size >= pkruEnd {
			binary.LittleEndian.PutUint32(b[avx512End:], pkru)
		}
		return process.Thread{XState: b}
	}
	for _, c := range []struct {
		name    string
		threads []process.Thread
		size    int
		xcr0    uint64
	}{
		{"nothing but SSE", []process.Thread{state(11008, xLegacy|xPKRU, defaultPKRU), state(11008, xLegacy, defaultPKRU)}, 576, xLegacy},
		{"AVX in one thread", []process.Thread{state(11008, xLegacy, 0), state(11008, xLegacy|xAVX, 0)}, 576, xLegacy},
		{"AVX-512", []process.Thread{state(11008, xLegacy|1<<6, 0)}, 576, xLegacy},
		{"a protection key", []process.Thread{state(11008, xLegacy|xPKRU, 0x55555550)}, 2696, xLegacy | xAVX | xAVX512 | xPKRU},
		{"AMX", []process.Thread{state(11008, xLegacy|xAVX|amx, 0)}, 576, xLegacy},
		{"AMD with AVX", []process.Thread{state(2440, xLegacy|xAVX, 0)}, 576, xLegacy},
		{"AMD with AVX-512", []process.Thread{state(2432, xLegacy|xAVX|1<<6, 0)}, 576, xLegacy},
		{"states of two sizes stay", []process.Thread{state(11008, xLegacy, 0), state(2696, xLegacy, 0)}, 11008, all},
	} {
		got := trimStates(inIntelsPlaces(append(c.threads, process.Thread{})))
		if n := len(got[0].XState); n != c.size {
			t.Errorf("%s: %d bytes, not %d", c.name, n, c.size)
		}
		if x := binary.LittleEndian.Uint64(got[0].XState[xcr0Offset:]); x != c.xcr0 {
			t.Errorf("%s: components %#x, not %#x", c.name, x, c.xcr0)
		}
		if len(got[len(got)-1].XState) > 0 {
			t.Errorf("%s: a thread without a state got one", c.name)
		}
	}
}

// TestInIntelsPlaces: each component of an AMD state is where gdb looks for it.
func TestInIntelsPlaces(t *testing.T) {
	amd := make([]byte, 2440)
	fill := func(from, to int, c byte) {
		for i := from; i < to; i++ {
			amd[i] = c
		}
	}
	fill(576, 832, 'y')   // the upper halves of YMM0 to YMM15
	fill(832, 896, 'k')   // masks
	fill(896, 1408, 'z')  // the upper halves of ZMM0 to ZMM15
	fill(1408, 2432, 'h') // ZMM16 to ZMM31
	fill(2432, 2440, 'p') // protection keys
	got := inIntelsPlaces([]process.Thread{{XState: amd}})[0].XState
	for _, part := range []struct {
		from, to int
		c        string
	}{{576, 832, "y"}, {1088, 1152, "k"}, {1152, 1664, "z"}, {1664, 2688, "h"}, {2688, 2696, "p"}} {
		if want := strings.Repeat(part.c, part.to-part.from); string(got[part.from:part.to]) != want {
			t.Errorf("from %d to %d there is %.16q…, not %.16q…", part.from, part.to, got[part.from:part.to], want)
		}
	}
	intel := process.Thread{XState: make([]byte, 2696)}
	if again := inIntelsPlaces([]process.Thread{intel})[0].XState; &again[0] != &intel.XState[0] {
		t.Error("a state of Intel is changed")
	}
}

// A thread in a system call keeps nothing in its vector registers, a running thread
// only in those of SSE.
func TestWithoutStale(t *testing.T) {
	thread := func(systemCall int64) process.Thread {
		th := process.Thread{Machine: elfcore.MachineAMD64, General: make([]byte, 8*27), Float: bytes.Repeat([]byte("f"), 512), XState: bytes.Repeat([]byte("x"), 2696)}
		binary.LittleEndian.PutUint64(th.General[8*15:], uint64(systemCall))
		return th
	}
	before := []process.Thread{thread(202), thread(-1)}
	after := withoutStale(before, 0xA5)
	if !bytes.Equal(after[1].Float, before[1].Float) || !bytes.Equal(after[1].XState[:576], before[1].XState[:576]) {
		t.Error("registers of a running thread are marked")
	}
	if got, want := bytes.Count(after[1].XState, []byte("x")), 576+8; got != want {
		t.Errorf("%d bytes of the extended state of a running thread are kept, want %d", got, want)
	}
	if bytes.Contains(before[0].Float, []byte{0xA5}) || bytes.Contains(before[0].XState, []byte{0xA5}) {
		t.Error("the snapshot is changed")
	}
	head, marks := "f", 512-32-96
	if got := bytes.Count(after[0].Float, []byte{0xA5}); got != marks || string(after[0].Float[:32]) != strings.Repeat(head, 32) {
		t.Errorf("%d bytes are marked in the legacy state, want %d", got, marks)
	}
	if got, want := bytes.Count(after[0].XState, []byte("x")), 32+(576-416)+8; got != want {
		t.Errorf("%d bytes of the extended state are kept, want %d: control words, header and rights", got, want)
	}
}
