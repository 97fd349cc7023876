package exe

import (
	"debug/elf"
	"encoding/binary"
	"encoding/hex"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// Types of the notes that carry build IDs.
const (
	noteGNUBuildID = 3
	noteGoBuildID  = 4
)

// maxNotes bounds the bytes read of one note segment; the notes of Go's and C
// linkers have some hundred bytes.
const maxNotes = 1 << 20

// BuildIDs returns the file's build IDs, each empty if missing: Go's as text,
// and the GNU linker's in hexadecimal digits.
func (f *File) BuildIDs() (goID, gnuID string) {
	read := func(name string, typ uint32, desc []byte) {
		switch {
		case name == "Go\x00\x00" && typ == noteGoBuildID && goID == "":
			goID = string(desc)
		case name == "GNU\x00" && typ == noteGNUBuildID && gnuID == "":
			gnuID = hex.EncodeToString(desc)
		}
	}
	for _, p := range f.programs {
		if p.typ != elf.PT_NOTE || p.filesz > maxNotes {
			continue
		}
		if data, err := f.bytes(p.offset, p.filesz); err == nil {
			eachNote(data, read)
		}
		if gnuID == "" {
			f.noteAfter(p, read)
		}
	}
	return goID, gnuID
}

// noteAfter calls visit with the note that follows a segment of notes. Since Go
// 1.24, Go's linker writes the GNU build ID there, outside all program headers.
func (f *File) noteAfter(p program, visit func(name string, typ uint32, desc []byte)) {
	const size = 12 + 4 + 20 // a head, "GNU" and a SHA-1
	at := p.addr.Add(p.filesz+3) &^ 3
	data := make([]byte, size)
	if n, _ := f.ReadAt(data, at); n == size && string(data[12:16]) == "GNU\x00" {
		eachNote(data, visit)
	}
}

// eachNote calls visit with each note in data, up to the first malformed one.
func eachNote(data []byte, visit func(name string, typ uint32, desc []byte)) {
	le := binary.LittleEndian
	for len(data) >= 12 {
		nameSize, descSize, typ := uint64(le.Uint32(data)), uint64(le.Uint32(data[4:])), le.Uint32(data[8:])
		data = data[12:]
		descAt := (nameSize + 3) &^ 3
		end := descAt + (descSize+3)&^3
		if nameSize > uint64(len(data)) || descAt+descSize > uint64(len(data)) {
			return
		}
		visit(string(data[:nameSize]), typ, data[descAt:descAt+descSize])
		data = data[min(end, uint64(len(data))):]
	}
}

// Hints returns possible addresses of Go's own tables, from the sections and
// symbols that exist. The caller must validate each one.
func (f *File) Hints() (moduledata, pclntab, buildInfo []memory.Address) {
	for _, s := range f.sections {
		switch s.Name {
		case ".go.module":
			moduledata = append(moduledata, s.Addr)
		case ".gopclntab", ".data.rel.ro.gopclntab":
			pclntab = append(pclntab, s.Addr)
		case ".go.buildinfo":
			buildInfo = append(buildInfo, s.Addr)
		}
	}
	if len(moduledata) == 0 && len(pclntab) == 0 {
		for _, name := range []string{"runtime.firstmoduledata", "local.moduledata"} {
			if sym, err := f.Symbol(name); err == nil {
				moduledata = append(moduledata, sym.Addr)
			}
		}
	}
	return moduledata, pclntab, buildInfo
}
