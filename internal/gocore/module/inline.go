package module

import (
	"encoding/binary"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// A Call is one of the calls that are under way at an address in code: those
// that the compiler inlined, and the function that it inlined them into.
type Call struct {
	Name string
	File string
	Line int
}

// The tables of inlined calls (runtime.inlinedCall in the runtime's
// symtabinl.go, the same since Go 1.20).
const (
	inlineIndexTable = 2 // PCDATA_InlTreeIndex
	inlineTree       = 3 // FUNCDATA_InlTree
	inlinedCallSize  = 16
	inlinedCallName  = 4 // i32, in the table of names
	inlinedCallPC    = 8 // i32, of the call in the function
	maxInlinedCalls  = 1 << 12
)

// Calls returns the calls under way at pc, the innermost first and f itself
// last. For a return address ask for the byte before it.
func (f *Func) Calls(pc memory.Address) ([]Call, error) {
	tree, err := f.FuncData(inlineTree)
	if err != nil {
		return nil, fmt.Errorf("inlined calls at %v: %w", pc, err)
	}
	var calls []Call
	for range maxInlinedCalls {
		index := int32(-1)
		if tree != 0 {
			if index, err = f.PCData(inlineIndexTable, pc); err != nil {
				return nil, fmt.Errorf("inlined calls at %v: %w", pc, err)
			}
		}
		call := Call{Name: f.Name}
		// Code without a line still has a function.
		call.File, call.Line, _ = f.Line(pc)
		if index < 0 {
			return append(calls, call), nil
		}
		b, err := f.table.r.Bytes(tree.Add(uint64(index)*inlinedCallSize), inlinedCallSize, inlinedCallSize)
		if err != nil {
			return nil, fmt.Errorf("inlined call %d at %v: %w", index, pc, err)
		}
		name := binary.LittleEndian.Uint32(b[inlinedCallName:])
		if call.Name, err = f.table.cstring(f.table.m.funcNames, uint64(name)); err != nil {
			return nil, fmt.Errorf("name of inlined call %d at %v: %w", index, pc, err)
		}
		calls = append(calls, call)
		pc = f.Range.Start.Add(uint64(binary.LittleEndian.Uint32(b[inlinedCallPC:])))
	}
	return nil, fmt.Errorf("inlined calls at %v: more than %d within each other", pc, maxInlinedCalls)
}
