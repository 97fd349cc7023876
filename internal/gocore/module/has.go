package module

import (
	"strings"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// A PlacedCall is a call as a traceback of the runtime shows it, with the offset of its
// address in the function.
type PlacedCall struct {
	Call
	Offset uint64
}

// Has reports whether the code of an executable has all of these calls: at the offset in a
// function of that name is that line of that file. Names have no type arguments, as in a
// traceback. It reports false for a file that is not a Go program.
func Has(file *exe.File, calls []PlacedCall) bool {
	prog, err := OfFile(file)
	if err != nil {
		return false
	}
	wanted := map[string][]*Func{}
	for _, c := range calls {
		wanted[c.Name] = nil
	}
	for _, m := range prog.Modules {
		mem := readTable(m, file)
		functions, err := m.Functions(mem)
		if err != nil {
			return false
		}
		for i := range functions.Len() {
			f, err := functions.Func(i)
			if err != nil {
				continue // another one may be it
			}
			if name := withoutArguments(f.Name); hasKey(wanted, name) {
				wanted[name] = append(wanted[name], f)
			}
		}
	}
	for _, c := range calls {
		if !anyHas(wanted[c.Name], c) {
			return false
		}
	}
	return true
}

func hasKey(m map[string][]*Func, name string) bool {
	_, ok := m[name]
	return ok
}

// readTable returns the memory of a file with its pc-line table read at once.
func readTable(m *Module, file *exe.File) memory.Memory {
	const most = 256 << 20
	r := m.PCLineTable()
	data, err := memory.Reader{Memory: file}.Bytes(r.Start, r.Size(), most)
	if err != nil {
		return file
	}
	var mem memory.Spliced
	mem.PutAll(file)
	mem.PutAll(memory.Buffer{Base: r.Start, Data: data})
	return &mem
}

// withoutArguments returns a function's name as the runtime prints it: with [...] for
// type arguments.
func withoutArguments(name string) string {
	from, to := strings.IndexByte(name, '['), strings.LastIndexByte(name, ']')
	if from < 0 || to < from {
		return name
	}
	return name[:from] + "[...]" + name[to+1:]
}

func anyHas(functions []*Func, c PlacedCall) bool {
	for _, f := range functions {
		if c.Offset >= f.Range.Size() {
			continue
		}
		pc := f.Range.Start.Add(c.Offset)
		for _, at := range []memory.Address{pc - 1, pc} { // it returns there, or is there
			if calls, err := f.Calls(at); at >= f.Range.Start && err == nil {
				if outer := calls[len(calls)-1]; outer.File == c.File && outer.Line == c.Line {
					return true
				}
			}
		}
	}
	return false
}
