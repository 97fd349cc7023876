package build

import (
	"encoding/binary"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Before a signal handler runs, the kernel saves the floating-point and vector
// registers of the interrupted code on the handler's stack. They contain leftovers of
// earlier code, such as arguments and the environment, which the C library copies
// through them. No debugger reads them there.
//
// On amd64 (<asm/sigcontext.h>) they are in the standard format of XSAVE, aligned to
// 64 bytes, with two magic values: at offset 464, before the size of the state, and
// after the state. On arm64 (the same header) each kind of register is a record,
// aligned to 16 bytes, that begins with a magic value and its size.
const (
	fpxMagic1, fpxMagic2 = 0x46505853, 0x46505845
	fpxMagicAt           = xcr0Offset
	fpxSizeAt            = fpxMagicAt + 16
	fpxAlign             = 64

	fpsimdMagic, sveMagic, zaMagic, ztMagic = 0x46508001, 0x53564501, 0x54366345, 0x5a544e01
	armHead                                 = 16 // magic value, size, and facts about the registers
	armAlign                                = 16

	maxState = 1 << 20 // with the matrix registers of arm64
)

// redactSignalFrames overwrites the vector registers that the kernel saved on stacks
// for signal handlers.
func redactSignalFrames(s *model.Snapshot) {
	find := vectorsAMD64
	if s.Identity.Machine == elfcore.MachineARM64 {
		find = vectorsARM64
	}
	for _, stack := range s.Goroutines.Stacks {
		s.Image.Each(stack.Used, func(at memory.Address, data []byte) { find(&s.Image, at, data) })
	}
}

// vectorsAMD64 overwrites the vector registers of the states in a part of a stack.
func vectorsAMD64(im *model.Image, start memory.Address, data []byte) {
	le := binary.LittleEndian
	for i := int(-(start - fpxMagicAt) & (fpxAlign - 1)); i+4 <= len(data); i += fpxAlign {
		if le.Uint32(data[i:]) != fpxMagic1 {
			continue
		}
		state := start.Add(uint64(i)) - fpxMagicAt
		word := func(off uint64) uint32 {
			var b [4]byte
			_, _ = im.ReadAt(b[:], state.Add(off)) // zero if the image does not have it
			return le.Uint32(b[:])
		}
		size := uint64(word(fpxSizeAt))
		if size < xstateHeader || size > maxState {
			continue // another value
		}
		const magicSize = 4
		if im.SizeIn(memory.RangeOf(state.Add(size), magicSize)) == magicSize && word(size) != fpxMagic2 {
			continue
		}
		im.Fill(memory.Range{Start: state + legacyRegisters, End: state + legacyEnd})
		im.Fill(memory.Range{Start: state + xstateHeader, End: state.Add(size)})
	}
}

// vectorsARM64 does the same for arm64.
func vectorsARM64(im *model.Image, start memory.Address, data []byte) {
	le := binary.LittleEndian
	for i := int(-start & (armAlign - 1)); i+8 <= len(data); i += armAlign {
		size := uint64(le.Uint32(data[i+4:]))
		switch le.Uint32(data[i:]) {
		case fpsimdMagic, sveMagic, zaMagic, ztMagic:
			if size > armHead && size <= maxState && size%armAlign == 0 {
				record := start.Add(uint64(i))
				im.Fill(memory.Range{Start: record + armHead, End: record.Add(size)})
			}
		}
	}
}
