package memory

import (
	"bytes"
	"slices"
)

// A Recording is a Memory that keeps what is read of it. What a function makes only of
// such memory is the same later if the memory is: see [Recording.Still].
type Recording struct {
	Memory
	pieces []Piece
	failed bool
}

// ReadAt is Memory's.
func (r *Recording) ReadAt(p []byte, addr Address) (int, error) {
	n, err := r.Memory.ReadAt(p, addr)
	r.keep(Piece{Addr: addr, Data: p, N: n})
	return n, err
}

// ReadBatch is Batcher's.
func (r *Recording) ReadBatch(pieces []Piece) error {
	err := ReadBatch(r.Memory, pieces)
	r.failed = r.failed || err != nil
	for _, p := range pieces {
		r.keep(p)
	}
	return err
}

func (r *Recording) keep(p Piece) {
	r.failed = r.failed || p.N < len(p.Data)
	if !r.failed && len(p.Data) > 0 {
		r.pieces = append(r.pieces, Piece{Addr: p.Addr, Data: bytes.Clone(p.Data), N: p.N})
	}
}

// End ends the recording. It returns nil if a read failed, or if two reads of the same
// memory differ: then nothing was the same.
func (r *Recording) End() *Recorded {
	slices.SortFunc(r.pieces, func(a, b Piece) int { return a.Addr.Compare(b.Addr) })
	out := new(Recorded)
	if r.failed {
		return nil
	}
	for _, p := range r.pieces {
		n := len(out.ranges) - 1
		if n < 0 || out.ranges[n].End < p.Addr {
			out.ranges = append(out.ranges, RangeOf(p.Addr, uint64(len(p.Data))))
			out.data = append(out.data, p.Data)
			continue
		}
		again := out.data[n][p.Addr-out.ranges[n].Start:]
		common := min(len(again), len(p.Data))
		if !bytes.Equal(again[:common], p.Data[:common]) {
			return nil
		}
		out.data[n] = append(out.data[n], p.Data[common:]...)
		out.ranges[n].End = out.ranges[n].Start.Add(uint64(len(out.data[n])))
	}
	return out
}

// Recorded is what was read of a memory.
type Recorded struct {
	ranges []Range // sorted, without overlaps
	data   [][]byte
}

// Size returns the number of bytes. A nil Recorded has none.
func (r *Recorded) Size() uint64 {
	if r == nil {
		return 0
	}
	return Ranges(r.ranges).Size()
}

// Still reports whether the memory is still the same. It reads it into arena, as far as
// that goes.
func (r *Recorded) Still(mem Memory, arena *Arena) bool {
	data, holes, err := Gather(mem, r.ranges, pageBytes, arena, nil)
	return err == nil && len(holes) == 0 && slices.EqualFunc(data, r.data, bytes.Equal)
}
