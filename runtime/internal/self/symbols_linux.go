//go:build linux && (amd64 || arm64)

package self

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"sync/atomic"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Types of sections.
const (
	shtSymtab = 2
	shtNote   = 7
)

// variables has the result of Variables, once the executable was read.
var variables atomic.Pointer[map[string]elfcore.Range]

// Variables returns the memory of those variables of the Go runtime that reveal no data
// of the program and that debuggers read, by their names, as far as the executable has a
// symbol table (a stripped one has none). bias is that of the Process. Only the first
// call reads the table, which has many megabytes in a large program. The caller must not
// change the map.
func Variables(bias uint64) map[string]elfcore.Range {
	if found := variables.Load(); found != nil {
		return *found
	}
	found := map[string]elfcore.Range{}
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return found // there may be a free descriptor the next time
	}
	defer f.Close()
	symbols, names, err := symbolTable(f)
	if err != nil {
		return found
	}
	le := binary.LittleEndian
	for ; len(symbols) >= 24; symbols = symbols[24:] {
		at, addr, size := uint64(le.Uint32(symbols)), le.Uint64(symbols[8:]), le.Uint64(symbols[16:])
		if at >= uint64(len(names)) || size == 0 {
			continue
		}
		end := bytes.IndexByte(names[at:], 0)
		if end < 0 {
			continue
		}
		if name := names[at : at+uint64(end)]; bytes.HasPrefix(name, []byte("runtime.")) && isRead(string(name)) {
			found[string(name)] = elfcore.Range{Start: bias + addr, End: bias + addr + size}
		}
	}
	variables.Store(&found)
	return found
}

// isRead reports whether debuggers read a variable of the runtime: the number of
// goroutines, the address of their list, the location of the types that interface values
// refer to, and the last text that the runtime printed.
func isRead(name string) bool {
	switch name {
	case "runtime.allglen", "runtime.allgptr", "runtime.allgs", "runtime.firstmoduledata", Backlog, "runtime.printBacklogIndex":
		return true
	}
	return false
}

// symbolTable returns the symbols (Elf64_Sym, 24 bytes each) and the names of
// an executable; nothing if it has none.
func symbolTable(f io.ReaderAt) (symbols, names []byte, err error) {
	const most = 256 << 20
	le := binary.LittleEndian
	sections, size, err := sectionHeaders(f)
	if err != nil || size == 0 {
		return nil, nil, err
	}
	each, count := uint64(size), uint64(len(sections)/size)
	section := func(i uint64) ([]byte, error) {
		s := sections[i*each:]
		off, size := le.Uint64(s[24:]), le.Uint64(s[32:])
		if off > 1<<62 || size > most {
			return nil, nil
		}
		b := make([]byte, size)
		_, err := f.ReadAt(b, int64(off))
		return b, err
	}
	for i := uint64(0); i < count; i++ {
		s := sections[i*each:]
		link := uint64(le.Uint32(s[40:]))
		if le.Uint32(s[4:]) != shtSymtab || link >= count {
			continue
		}
		if symbols, err = section(i); err == nil {
			names, err = section(link)
		}
		return symbols, names, err
	}
	return nil, nil, nil
}

// sectionHeaders returns the section headers of an executable and the size of
// each, 0 if it has none.
func sectionHeaders(f io.ReaderAt) (headers []byte, size int, err error) {
	le := binary.LittleEndian
	var head [64]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, 0, err
	}
	off, each, count := le.Uint64(head[40:]), int(le.Uint16(head[58:])), int(le.Uint16(head[60:]))
	if each < 64 || off > 1<<62 {
		return nil, 0, nil
	}
	headers = make([]byte, each*count)
	_, err = f.ReadAt(headers, int64(off))
	return headers, each, err
}
