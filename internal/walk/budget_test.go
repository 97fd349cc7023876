package walk_test

import (
	"context"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/walk"
)

type list struct {
	Next *list
	Text string
	Pad  [64]byte
}

func makeList(n int, text string) (head *list) {
	for range n {
		head = &list{Next: head, Text: text}
	}
	return head
}

// Under a budget that is too small for all, every root has its own bytes before
// any root gets depth.
func TestBudgetIsSharedBreadthFirst(t *testing.T) {
	self := kinds.Open(t, os.Getpid(), nil)
	hungry := makeList(10_000, "hungry")
	var small [50]struct{ list *list }
	roots := []walk.Root{rootOf(t, self.Types, hungry, walk.Unlimited)}
	for i := range small {
		small[i].list = makeList(3, "small")
		roots = append(roots, rootOf(t, self.Types, &small[i], walk.Unlimited))
	}
	res, err := walk.Walk(context.Background(), walk.Config{Memory: self.Mem, Types: self.Types, Version: self.Prog.Version, Roots: roots, Budget: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	if size := res.Captured().Size(); size > 20_000 || size < 19_000 {
		t.Errorf("%d bytes were captured, the budget is 20000", size)
	}
	for i, root := range roots {
		if !res.Captured().Contains(memory.RangeOf(root.Addr, root.Type.Size)) {
			t.Errorf("root %d has not its own bytes", i)
		}
	}
	for i := range small {
		if res.Roots[i+1].State != walk.Complete {
			t.Errorf("a small list ends %v: the large one took its share", res.Roots[i+1].State)
		}
	}
	if res.Roots[0].State != walk.Cut {
		t.Errorf("the large list ends %v", res.Roots[0].State)
	}
	runtime.KeepAlive(hungry)
}

// A root's own budget and depth apply to it alone.
func TestBudgetAndDepthOfOneRoot(t *testing.T) {
	self := kinds.Open(t, os.Getpid(), nil)
	a, b := makeList(100, "a"), makeList(100, "b")
	cut := rootOf(t, self.Types, &a, walk.Unlimited)
	cut.Budget = 1000
	for depth, nodes := range map[int]uint64{0: 0, 1: 1, 5: 5, walk.Unlimited: 100} {
		whole := rootOf(t, self.Types, &b, depth)
		res, err := walk.Walk(context.Background(), walk.Config{Memory: self.Mem, Types: self.Types, Version: self.Prog.Version, Roots: []walk.Root{cut, whole}})
		if err != nil {
			t.Fatal(err)
		}
		if end := res.Roots[0]; end.State != walk.Cut || end.Bytes > 1000 || end.Bytes < 900 {
			t.Errorf("%+v with a budget of 1000", end)
		}
		const node = 88
		want := 8 + nodes*node // including the pointer to the first
		if nodes > 1 {
			want++ // the string "b", which all share, is one pointer further
		}
		if end := res.Roots[1]; end.State != walk.Complete || end.Bytes != want {
			t.Errorf("depth %d: %+v, want %d bytes", depth, end, want)
		}
	}
	runtime.KeepAlive([]*list{a, b})
}

// For an area's first bytes, whole elements are followed, and cut ones are not.
func TestFirstBytes(t *testing.T) {
	self := kinds.Open(t, os.Getpid(), nil)
	array := &[4]*list{makeList(1, "0"), makeList(1, "1"), makeList(1, "2"), makeList(1, "3")}
	root := rootOf(t, self.Types, array, walk.Unlimited)
	elem, err := root.Type.Elem()
	if err != nil {
		t.Fatal(err)
	}
	root.Type, root.Count, root.Bytes = elem, 4, 20
	res, err := walk.Walk(context.Background(), walk.Config{Memory: self.Mem, Types: self.Types, Version: self.Prog.Version, Roots: []walk.Root{root}})
	if err != nil {
		t.Fatal(err)
	}
	got := []bool{}
	for _, l := range array {
		got = append(got, res.Captured().Contains(memory.RangeOf(addrOf(l), 88)))
	}
	if want := []bool{true, true, false, false}; !slices.Equal(got, want) {
		t.Errorf("the elements that were followed are %v, want %v", got, want)
	}
	if n := res.Captured().Overlap(memory.RangeOf(root.Addr, 32)).Size(); n != 20 {
		t.Errorf("%d bytes of the array were captured, want 20", n)
	}
}
