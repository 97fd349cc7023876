package goroutine

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/atomicstores"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// adderName is the function that appends a goroutine to the list:
//
//	allgs = append(allgs, gp)
//	if &allgs[0] != allgptr {
//		atomicstorep(unsafe.Pointer(&allgptr), unsafe.Pointer(&allgs[0]))
//	}
//	atomic.Storeuintptr(&allglen, uintptr(len(allgs)))
//
// Where atomicstorep is not inlined (-gcflags=all=-l), the address of allgptr is
// what a call is handed right before allglen is written.
const adderName = "runtime.allgadd"

// cellsInCode finds the cells in the code that writes them.
func cellsInCode(prog *module.Program, symbol func(string) (memory.Address, bool)) (Cells, error) {
	cells, handed, err := atomicstores.In(prog, adderName, symbol)
	if err != nil {
		return Cells{}, err
	}
	if len(cells) == 1 && handed != 0 {
		cells = []memory.Address{handed, cells[0]}
	}
	if len(cells) < 2 || cells[0] == cells[len(cells)-1] || !atomicstores.Variable(prog, cells[0]) || !atomicstores.Variable(prog, cells[len(cells)-1]) {
		return Cells{}, fmt.Errorf("code of %s: it writes to %v", adderName, cells)
	}
	return Cells{Ptr: cells[0], Len: cells[len(cells)-1]}, nil
}
