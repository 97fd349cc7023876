package build

import (
	"encoding/binary"
	"slices"

	"github.com/meminspect/meminspect/internal/core/process"
)

// Offsets in the extended state of an x86 thread, in the standard format of
// XSAVE (Intel SDM, volume 1, chapter 13), and in Linux's additions.
const (
	xcr0Offset   = 464 // which components the system has enabled, by Linux
	xstateBV     = 512 // which components are in use
	xstateHeader = 576 // end of the part that every thread has
	avxEnd       = 832
	mpxEnd       = 1088
	avx512End    = 2688 // on Intel's processors
	pkruEnd      = 2696
)

// Components of the extended state.
const (
	xLegacy = 1<<0 | 1<<1 // x87 and SSE
	xAVX    = 1 << 2
	xMPX    = 1<<3 | 1<<4
	xAVX512 = 1<<5 | 1<<6 | 1<<7
	xPKRU   = 1 << 9
)

// defaultPKRU is the value that Linux gives each thread: it grants access to
// memory without a protection key.
const defaultPKRU = 0x55555554

// Offsets of the x87 and vector registers in the legacy part of the state, which
// NT_PRFPREG has alone.
const (
	legacyRegisters = 32
	legacyEnd       = 416
)

// withoutStale returns the threads with marks in the vector registers that contain
// leftovers of earlier code: the C library, for example, copies arguments and the
// environment through them. In a system call these are all floating-point and vector
// registers: neither Go nor C keeps a value there across a call. In other threads,
// the registers of SSE may be in use. The larger ones are marked in all threads: Go
// code hardly uses them, so their contents may be as old as the thread.
func withoutStale(threads []process.Thread, mark byte) []process.Thread {
	fill := func(b []byte, from, to int) {
		for i := from; i < min(to, len(b)); i++ {
			b[i] = mark
		}
	}
	out := slices.Clone(threads)
	for i := range out {
		th := &out[i]
		th.Float, th.XState = slices.Clone(th.Float), slices.Clone(th.XState)
		if th.InSystemCall() {
			fill(th.Float, legacyRegisters, legacyEnd)
			fill(th.XState, legacyRegisters, legacyEnd)
		}
		fill(th.XState, xstateHeader, avx512End) // the rest are access rights, not values
		fill(th.XState, pkruEnd, len(th.XState))
	}
	return out
}

// trimStates cuts the extended states of threads to the components that at
// least one of them uses, and returns the threads. All states get the same
// size, the one that gdb expects for the components: gdb warns about others
// once per thread. Processors with AMX have 8 KiB more per thread, which hardly
// any program uses. Unknown layouts stay unchanged.
func trimStates(threads []process.Thread) []process.Thread {
	used, size, ok := usedStates(threads)
	if !ok {
		return threads
	}
	out := make([]process.Thread, len(threads))
	for i, th := range threads {
		if len(th.XState) > 0 {
			state := append([]byte(nil), th.XState[:size]...)
			for _, at := range [...]int{xcr0Offset, xstateBV} {
				binary.LittleEndian.PutUint64(state[at:], binary.LittleEndian.Uint64(state[at:])&used)
			}
			th.XState = state
		}
		out[i] = th
	}
	return out
}

// usedStates returns the components that threads use, as far as gdb knows them,
// and the size of a state with only these. It reports false if the states
// should stay unchanged.
func usedStates(threads []process.Thread) (used uint64, size int, ok bool) {
	used = xLegacy
	full := 0
	for i := range threads {
		state, pkru := threads[i].XState, avx512End
		length := len(state)
		if length == 0 {
			continue
		}
		if isAMDs(state) { // not in Intel's places yet
			pkru, length = amdEnd, pkruEnd
		}
		if length < xstateHeader || full != 0 && length != full {
			return 0, 0, false
		}
		full = length
		bv := binary.LittleEndian.Uint64(state[xstateBV:])
		if bv&xPKRU != 0 && len(state) >= pkru+8 && binary.LittleEndian.Uint32(state[pkru:]) == defaultPKRU {
			bv &^= xPKRU
		}
		used |= bv & (xLegacy | xPKRU) // the rest are marks
	}
	for _, part := range [...]struct {
		bits uint64
		end  int
	}{{xAVX, avxEnd}, {xMPX, mpxEnd}, {xAVX512, avx512End}, {xPKRU, pkruEnd}} {
		if used&part.bits != 0 {
			used |= part.bits
			size = part.end
		}
	}
	if used&xAVX512 != 0 { // it widens the registers of AVX
		used |= xAVX
	}
	if used&xPKRU != 0 {
		used |= xAVX | xAVX512
	}
	used &= xLegacy | xAVX | xMPX | xAVX512 | xPKRU
	size = max(size, xstateHeader)
	return used, size, full > 0 && size <= full
}

// trimmedSize returns the size of the states of published threads. It reports
// false if they are not trimmed.
func trimmedSize(threads []process.Thread) (size int, ok bool) {
	_, size, ok = usedStates(threads)
	return size, ok
}

// isAMDs reports whether a state has the places of processors of AMD.
func isAMDs(state []byte) bool {
	return len(state) >= amdEnd && len(state) < avx512End && binary.LittleEndian.Uint64(state[xcr0Offset:])&xMPX == 0
}

// amdParts are the components that AMD processors keep at other offsets,
// because they have no MPX: the offset on AMD, the offset on Intel, and the
// size.
var amdParts = [...]struct{ amd, intel, size int }{
	{832, 1088, 64}, {896, 1152, 512}, {1408, 1664, 1024}, // AVX-512
	{2432, 2688, 8}, // protection keys
}

// amdEnd is the end of AVX-512 in an AMD state.
const amdEnd = 2432

// inIntelsPlaces returns the threads with the components of their states at
// Intel's offsets, which every gdb knows.
func inIntelsPlaces(threads []process.Thread) []process.Thread {
	out := slices.Clone(threads)
	for i := range out {
		state := out[i].XState
		if !isAMDs(state) {
			continue
		}
		moved := make([]byte, pkruEnd)
		copy(moved[:avxEnd], state)
		for _, part := range amdParts {
			if part.amd+part.size <= len(state) {
				copy(moved[part.intel:part.intel+part.size], state[part.amd:])
			}
		}
		out[i].XState = moved
	}
	return out
}
