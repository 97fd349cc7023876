//go:build linux && (amd64 || arm64)

package coreimage

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// debuggerNeeds are variables of the Go runtime that say nothing of the
// program's data and that Delve reads unasked: the number of goroutines (the
// marked pattern there would have it list 11 quintillion), where their list
// is, and where the types stand that interface values refer to.
var debuggerNeeds = map[string]bool{
	"runtime.allglen":         true,
	"runtime.allgptr":         true,
	"runtime.allgs":           true,
	"runtime.firstmoduledata": true,
}

const shtSymtab = 2

// runtimeVariables returns the memory of debuggerNeeds, as far as the
// executable has a symbol table that tells where they are. A stripped one has
// none, and Delve looks for none of them there.
func runtimeVariables(bias uint64) []elfcore.Range {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil
	}
	defer f.Close()
	symbols, names := symbolTable(f)
	le := binary.LittleEndian
	var found []elfcore.Range
	for ; len(symbols) >= 24; symbols = symbols[24:] {
		name, addr, size := uint64(le.Uint32(symbols)), le.Uint64(symbols[8:]), le.Uint64(symbols[16:])
		if name >= uint64(len(names)) || size == 0 || size > 4096 {
			continue
		}
		end := bytes.IndexByte(names[name:], 0)
		if end >= 0 && debuggerNeeds[string(names[name:name+uint64(end)])] {
			found = append(found, elfcore.Range{Start: bias + addr, End: bias + addr + size})
		}
	}
	return found
}

// symbolTable returns the symbols (Elf64_Sym, 24 bytes each) and the names of
// an executable, or nothing.
func symbolTable(f io.ReaderAt) (symbols, names []byte) {
	const most = 256 << 20
	le := binary.LittleEndian
	var head [64]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, nil
	}
	off, each, count := le.Uint64(head[40:]), uint64(le.Uint16(head[58:])), uint64(le.Uint16(head[60:]))
	if each < 64 || off > 1<<62 {
		return nil, nil
	}
	sections := make([]byte, each*count)
	if _, err := f.ReadAt(sections, int64(off)); err != nil {
		return nil, nil
	}
	section := func(i uint64) []byte {
		s := sections[i*each:]
		off, size := le.Uint64(s[24:]), le.Uint64(s[32:])
		if off > 1<<62 || size > most {
			return nil
		}
		b := make([]byte, size)
		if _, err := f.ReadAt(b, int64(off)); err != nil {
			return nil
		}
		return b
	}
	for i := uint64(0); i < count; i++ {
		s := sections[i*each:]
		link := uint64(le.Uint32(s[40:]))
		if le.Uint32(s[4:]) == shtSymtab && link < count {
			return section(i), section(link)
		}
	}
	return nil, nil
}
