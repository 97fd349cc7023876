package goroutine

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// Cells are the two variables in which the runtime keeps, for readers without
// its lock, the list of all goroutines: a pointer to an array of pointers, and
// its length. The array is only ever appended to; when it grows the pointer
// changes before the length does.
type Cells struct {
	Ptr, Len memory.Address
	How      string // by which two ways they were found
}

// ErrNoList reports that the list of goroutines could not be found by two ways
// that agree.
var ErrNoList = errors.New("the list of goroutines was not found")

// A List is the array as it is now.
type List struct {
	Array memory.Address
	Len   uint64
}

// maxGoroutines bounds the list: at two kilobytes of stack each, more would
// not fit into a terabyte.
const maxGoroutines = 1 << 29

// Read reads the cells, the length first, as the runtime's own readers do.
func (c Cells) Read(mem memory.Memory) (List, error) {
	r := memory.Reader{Memory: mem}
	n, err := r.Uint64(c.Len)
	if err != nil {
		return List{}, fmt.Errorf("length of the list of goroutines: %w", err)
	}
	ptr, err := r.Pointer(c.Ptr)
	if err != nil {
		return List{}, fmt.Errorf("list of goroutines: %w", err)
	}
	if n > maxGoroutines || !ptr.Aligned(memory.PtrSize) || n > 0 && ptr == 0 {
		return List{}, fmt.Errorf("list of goroutines: %d of them at %v", n, ptr)
	}
	return List{ptr, n}, nil
}

// Range is the memory of the array.
func (l List) Range() memory.Range { return memory.RangeOf(l.Array, l.Len*memory.PtrSize) }

// Addrs reads the array: the addresses of all runtime.g's.
func (l List) Addrs(mem memory.Memory) ([]memory.Address, error) {
	size := l.Len * memory.PtrSize
	b, err := memory.Reader{Memory: mem}.Bytes(l.Array, size, size)
	if err != nil {
		return nil, fmt.Errorf("list of goroutines: %w", err)
	}
	addrs := make([]memory.Address, l.Len)
	for i := range addrs {
		addrs[i] = memory.Address(binary.LittleEndian.Uint64(b[i*memory.PtrSize:]))
	}
	return addrs, nil
}

// A Batch is what ReadAll has read, in the order of the addresses.
type Batch struct {
	All []G

	// Records are the runtime.g's, and Data their bytes, those that make no sense too.
	Records []memory.Range
	Data    [][]byte

	Bad   int   // what could not be read or makes no sense
	First error // the reason for the first of those
}

func (b *Batch) fail(err error) {
	b.Bad++
	if b.First == nil {
		b.First = err
	}
}

// ReadAll reads the runtime.g's at addrs. What cannot be read or makes no sense
// is left out. The result is in the memory of room, and the bytes in that of the
// arena, as far as they go.
func (l Layout) ReadAll(mem memory.Memory, addrs []memory.Address, arena *memory.Arena, room []G) Batch {
	var out Batch
	// They are close together in the runtime's spans.
	sorted := slices.Clone(addrs)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	ranges := make([]memory.Range, 0, len(sorted))
	for _, addr := range sorted {
		if n := len(ranges); n > 0 && addr < ranges[n-1].End {
			out.fail(fmt.Errorf("goroutine at %v: it overlaps the one at %v", addr, ranges[n-1].Start))
			continue
		}
		ranges = append(ranges, memory.RangeOf(addr, uint64(l.Size)))
	}
	const near = 256
	data, holes, err := memory.Gather(mem, ranges, near, arena, nil)
	if err != nil {
		return Batch{Bad: len(addrs), First: err}
	}
	out.Records, out.Data = ranges, data
	out.decode(l, holes, slices.Grow(room[:0], len(ranges)))
	return out
}

// decode decodes the records, except those in holes, into room. Two threads share many: the
// process may be stopped for it.
func (b *Batch) decode(l Layout, holes []memory.Range, room []G) {
	const many = 4096
	half := 0
	if len(b.Records) >= many {
		half = len(b.Records) / 2
	}
	room = room[:len(b.Records)]
	first := Batch{All: room[:0:half], Records: b.Records[:half], Data: b.Data[:half]}
	second := Batch{All: room[half:half], Records: b.Records[half:], Data: b.Data[half:]}
	var running sync.WaitGroup
	running.Go(func() { first.decodeEach(l, holes) })
	second.decodeEach(l, holes)
	running.Wait()

	b.All = room[:len(first.All)]
	if len(first.All) < half {
		b.All = append(b.All, second.All...)
	} else {
		b.All = room[:half+len(second.All)] // they are there already
	}
	b.Bad += first.Bad + second.Bad
	b.First = cmp.Or(b.First, first.First, second.First)
}

func (b *Batch) decodeEach(l Layout, holes []memory.Range) {
	for i, r := range b.Records {
		for len(holes) > 0 && holes[0].End <= r.Start {
			holes = holes[1:]
		}
		if len(holes) > 0 && holes[0].Overlaps(r) {
			b.fail(fmt.Errorf("goroutine at %v: %w", r.Start, memory.Unreadable(holes[0].Start, memory.ErrNotMapped)))
			continue
		}
		g, err := l.Decode(r.Start, b.Data[i])
		if err != nil {
			b.fail(err)
			continue
		}
		b.All = append(b.All, g)
	}
}

// Find finds the cells by two ways that must agree: by the symbols
// runtime.allgptr and runtime.allglen, where the program has them; by the code
// of runtime.allgadd, which writes them; and by the variable runtime.allgs,
// which holds the same list as a slice and is looked for in the data.
//
// symbol gives the address of a symbol, false when it is not known. The memory
// must be that of the running program: in a file the list is empty.
func Find(prog *module.Program, symbol func(name string) (memory.Address, bool)) (Cells, error) {
	var named, coded Cells
	if ptr, ok := symbol("runtime.allgptr"); ok {
		if n, ok := symbol("runtime.allglen"); ok {
			named = Cells{Ptr: ptr, Len: n}
		}
	}
	coded, codeErr := cellsInCode(prog, symbol)
	switch {
	case named.Ptr != 0 && codeErr == nil:
		if named.Ptr != coded.Ptr || named.Len != coded.Len {
			return Cells{}, fmt.Errorf("%w: symbols give %v and %v, code gives %v and %v", ErrNoList, named.Ptr, named.Len, coded.Ptr, coded.Len)
		}
		named.How = "symbols and code"
		return named, nil
	case named.Ptr != 0:
		named.How = "symbols and data"
		return named, confirm(prog, named)
	case codeErr == nil:
		coded.How = "code and data"
		return coded, confirm(prog, coded)
	}
	return Cells{}, fmt.Errorf("%w: %w", ErrNoList, codeErr)
}

// confirm looks in the data for runtime.allgs: a slice of the same array.
// While the program runs the two may differ for a moment.
func confirm(prog *module.Program, c Cells) error {
	var err error
	for range 10 {
		if err = confirmOnce(prog, c); err == nil {
			return nil
		}
	}
	return err
}

func confirmOnce(prog *module.Program, c Cells) error {
	list, err := c.Read(prog.Mem)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoList, err)
	}
	if list.Len == 0 {
		return fmt.Errorf("%w: it is empty, the runtime has not started yet", ErrNoList)
	}
	word := binary.LittleEndian.AppendUint64(nil, uint64(list.Array))
	r := memory.Reader{Memory: prog.Mem}
	for _, m := range prog.Modules {
		var data memory.Spliced
		for _, part := range []memory.Range{m.Data, m.BSS} {
			data.Put(memory.Segment{Range: part, Write: true}, prog.Mem)
		}
		for at := range memory.Search(&data, word, memory.PtrSize, nil) {
			s, err := r.Slice(at)
			if err == nil && at != c.Ptr && s.Len == list.Len && s.Cap >= s.Len {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: no slice in the data has the %d goroutines at %v that %v and %v have", ErrNoList, list.Len, list.Array, c.Ptr, c.Len)
}
