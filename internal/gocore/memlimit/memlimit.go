// Package memlimit reads the Go runtime's memory limit of a program as it is now:
// GOMEMLIMIT's, or what debug.SetMemoryLimit has made of it since.
//
// It is one of the first words of runtime.gcController, in Go 1.19 to 1.27:
//
//	 0  gcPercent    int32   GOGC, -1 = off
//	 8  memoryLimit  int64   bytes, math.MaxInt64 = none
//	16  heapMinimum  uint64  4 MiB * gcPercent / 100
package memlimit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/atomicstores"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// None is the limit of a program that has none.
const None = math.MaxInt64

const (
	// initialiser gives the limit its first value, None, and stores nothing else
	// atomically.
	initialiser = "runtime.mallocinit"

	percentAt, limitAt, minimumAt, size = 0, 8, 16, 24
)

// setters are the functions that store the limit where the compiler does not
// inline them, in Go 1.19 to 1.22 and later.
var setters = []string{"runtime/internal/atomic.(*Int64).Store", "internal/runtime/atomic.(*Int64).Store"}

// noSymbols is a symbol table without symbols.
func noSymbols(string) (memory.Address, bool) { return 0, false }

// ErrUnknown is wrapped by the errors about a program whose limit is not found.
var ErrUnknown = errors.New("the Go runtime's memory limit was not found")

// Find returns where the runtime keeps what Read reads, by the code that writes
// the limit first: a symbol table would take longer to read. The memory may be
// that of the file.
func Find(prog *module.Program) (memory.Address, error) {
	cells, _, err := atomicstores.In(prog, initialiser, noSymbols)
	if err == nil && len(cells) == 0 { // a build without inlining
		for _, setter := range setters {
			if cell, err := atomicstores.Argument(prog, initialiser, setter, noSymbols); err == nil {
				cells = append(cells, cell)
			}
		}
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", ErrUnknown, err)
	case len(cells) != 1 || !atomicstores.Variable(prog, cells[0]) || !atomicstores.Variable(prog, cells[0]-limitAt):
		return 0, fmt.Errorf("%w: code of %s: it writes to %v", ErrUnknown, initialiser, cells)
	}
	return cells[0] - limitAt, nil
}

// Read returns the limit in bytes. It fails if the fields are inconsistent, as
// before the runtime has started and for a moment when GOGC is set.
func Read(mem memory.Memory, at memory.Address) (int64, error) {
	var b [size]byte
	if _, err := mem.ReadAt(b[:], at); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	percent, limit, minimum := int32(le.Uint32(b[percentAt:])), int64(le.Uint64(b[limitAt:])), le.Uint64(b[minimumAt:])
	// The second is that of GOEXPERIMENT=heapminimum512kib.
	for _, whole := range []uint64{4 << 20, 512 << 10} {
		if minimum == whole*uint64(percent)/100 && percent >= -1 && limit >= 0 && limit|int64(percent) != 0 {
			return limit, nil
		}
	}
	return 0, fmt.Errorf("%w: GOGC is %d, the limit %d, the heap's minimum %d", ErrUnknown, percent, limit, minimum)
}
