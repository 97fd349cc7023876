package walk_test

import (
	"context"
	"os"
	"runtime"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// Arrays are followed and redacted wherever they are: in a map's slot, in an
// interface, inside another array.
func TestArraysWithinValues(t *testing.T) {
	type word [1]byte // small enough for a map's slot, without alignment
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
		if !res.Captured().Contains(memory.RangeOf(addrOf(p), 16)) {
			t.Errorf("what %s array points at is not captured", name)
		}
	}
	// In both maps all eight slots are redacted, and only live ones count as
	// values.
	if got := res.Redactor.Receipts[0]; got.Values != 60+3+2 || got.Bytes != 60+8*3+8*2 {
		t.Errorf("%+v", got)
	}
	for i := range a.Rows {
		if r := memory.RangeOf(addrOf(&a.Rows[i]), 2); res.Redactor.Ranges.Overlap(r).Size() != 2 {
			t.Errorf("row %d is not redacted", i)
		}
	}
}

type (
	treeSecret [8]byte
	tree       struct {
		Kids   [1]map[bool]tree
		Leaf   *[16]byte
		Secret treeSecret
	}
	wood struct {
		Kids   [1]map[int][2]wood
		Leaf   *[16]byte
		Secret treeSecret
	}
)

// A type that leads back to itself through arrays and maps is followed and
// redacted completely, whichever of its parts the walk meets first.
func TestTypesThatLeadBackThroughArrays(t *testing.T) {
	self := kinds.Open(t, os.Getpid(), nil)
	var leaves []*[16]byte
	fresh := func() *[16]byte {
		leaves = append(leaves, new([16]byte))
		return leaves[len(leaves)-1]
	}
	some := treeSecret{1, 2, 3, 4, 5, 6, 7, 8}
	oneTree := func() tree { return tree{Leaf: fresh(), Secret: some} }
	grown := tree{Kids: [1]map[bool]tree{{true: {Kids: [1]map[bool]tree{{false: oneTree()}}, Leaf: fresh(), Secret: some}}}, Leaf: fresh(), Secret: some}
	oneWood := func() wood { return wood{Leaf: fresh(), Secret: some} }
	deep := wood{Kids: [1]map[int][2]wood{{7: {oneWood(), {Kids: [1]map[int][2]wood{{8: {oneWood(), oneWood()}}}, Leaf: fresh(), Secret: some}}}}, Leaf: fresh(), Secret: some}
	secret := rootOf(t, self.Types, new(treeSecret), 0).Type
	values := map[string]any{
		"tree": &grown, "map of trees": &map[bool]tree{true: grown}, "array of trees": &[3]tree{2: grown},
		"wood": &deep, "map of woods": &map[int][2]wood{1: {1: deep}},
	}
	for name, value := range values {
		root := rootOf(t, self.Types, value, 9)
		res, err := walk.Walk(context.Background(), walk.Config{
			Memory: self.Mem, Types: self.Types, Version: self.Prog.Version, Roots: []walk.Root{root},
			Exclusions: []walk.Exclusion{{Kind: anchor.ExcludeType, Type: secret}},
		})
		if err != nil {
			t.Fatal(err)
		}
		captured := 0
		for _, p := range leaves {
			if res.Captured().Contains(memory.RangeOf(addrOf(p), 16)) {
				captured++
			}
		}
		want, secrets := 3, 3 // of grown
		switch name {
		case "map of trees":
			secrets = 3
		case "array of trees":
			secrets = 5 // two are zero
		case "wood":
			want, secrets = 5, 5
		case "map of woods":
			want, secrets = 5, 6
		}
		if got := res.Redactor.Receipts[0]; captured != want || got.Values != secrets {
			t.Errorf("%s: %d leaves captured, want %d; %d values redacted, want %d", name, captured, want, got.Values, secrets)
		}
	}
	runtime.KeepAlive(values)
}
