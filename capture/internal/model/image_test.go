package model_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
)

// TestJoin: the join of two images has the bytes of both, by address, without
// duplicates; the first image wins.
func TestJoin(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	pieces := func(value byte) (all []model.Piece) {
		for at := memory.Address(random.IntN(9)); at < 60; at = at.Add(uint64(random.IntN(9))) {
			size := uint64(1 + random.IntN(12))
			data := make([]byte, size)
			for i := range data {
				data[i] = value
			}
			all = append(all, model.Piece{Range: memory.RangeOf(at, size), Data: data})
			at = at.Add(size)
		}
		return all
	}
	for range 10_000 {
		first, second := pieces(1), pieces(2)
		var want [100]byte
		for _, all := range [][]model.Piece{second, first} {
			for _, p := range all {
				copy(want[p.Start:], p.Data)
			}
		}
		var got [100]byte
		end := memory.Address(0)
		for _, p := range model.Join(slices.Values(first), len(first), second) {
			if p.Start < end || p.Empty() || int(p.Size()) != len(p.Data) {
				t.Fatalf("piece %v with %d bytes comes after %v", p.Range, len(p.Data), end)
			}
			end = p.End
			copy(got[p.Start:], p.Data)
		}
		if got != want {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
	}
}
