package walk_test

import (
	"context"
	"os"
	"testing"

	"github.com/meminspect/meminspect/collector/walk"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/target"
)

// What stands in an array is followed and erased wherever the array stands: in a
// map's slot, in an interface, in an array of another one.
func TestArraysWithinValues(t *testing.T) {
	type word [1]byte // small enough for a map's slot, without an alignment of its own
	type arrays struct {
		ByName map[string][2]*[16]byte
		Grid   [2][20]*[16]byte
		Cube   [2][2][2]*[16]byte
		Any    any
		Hidden map[string][3]word
		Rows   [30][2]word
		Gone   map[[2]word]int // deleted keys without pointers stay in their slots
	}
	self := kinds.Open(t, os.Getpid(), nil)
	fresh := func() *[16]byte { return new([16]byte) }
	a := &arrays{
		ByName: map[string][2]*[16]byte{"k": {nil, fresh()}}, Any: [1]*[16]byte{fresh()},
		Hidden: map[string][3]word{"k": {{1}, {2}, {3}}}, Gone: map[[2]word]int{{{4}, {5}}: 1, {{6}, {7}}: 2},
	}
	a.Grid[1][19], a.Cube[1][1][1] = fresh(), fresh()
	delete(a.Gone, [2]word{{4}, {5}})
	root := rootOf(t, self.Types, a, 4)
	res, err := walk.Walk(context.Background(), walk.Config{
		Memory: self.Mem, Types: self.Types, Version: self.Prog.Version, Roots: []walk.Root{root},
		Exclusions: []walk.Exclusion{{Kind: anchor.ExcludeType, Type: rootOf(t, self.Types, new(word), 0).Type}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*[16]byte{"a map's": a.ByName["k"][1], "an array's array": a.Grid[1][19], "two arrays' array": a.Cube[1][1][1], "an interface's": a.Any.([1]*[16]byte)[0]} {
		if !res.Captured.Contains(target.RangeOf(addrOf(p), 16)) {
			t.Errorf("what %s array points at is not captured", name)
		}
	}
	// Of the two maps all eight slots are erased, and only live ones are values.
	if got := res.Erasure.Receipts[0]; got.Values != 60+3+2 || got.Bytes != 60+8*3+8*2 {
		t.Errorf("%+v", got)
	}
	for i := range a.Rows {
		if r := target.RangeOf(addrOf(&a.Rows[i]), 2); res.Erasure.Ranges.Overlap(r).Size() != 2 {
			t.Errorf("row %d is not erased", i)
		}
	}
}
