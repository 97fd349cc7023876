package waits

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// randomWaits returns objects, and goroutines that wait for them and may release them. Only
// locks and wait groups have goroutines with deferred calls.
func randomWaits(r *rand.Rand) []Object {
	list := make([]stacks.Goroutine, 2+r.IntN(12))
	for i := range list {
		list[i].ID = uint64(i + 1)
	}
	kinds := []string{mutex, mutex, rwMutex, "sync.WaitGroup", "chan", "sync.Cond"}
	objects := make([]Object, 1+r.IntN(12))
	for i := range objects {
		o := &objects[i]
		*o = Object{Kind: kinds[r.IntN(len(kinds))], Addr: memory.Address(0x1000 + i), more: r.IntN(16) == 0}
		for _, k := range r.Perm(len(list))[:r.IntN(min(4, len(list)+1))] {
			deferred := r.IntN(3) == 0 && o.Kind != "chan" && o.Kind != "sync.Cond"
			upgrades := r.IntN(3) == 0 && !deferred && o.Kind == rwMutex
			o.Others = append(o.Others, Other{Goroutine: &list[k], Deferred: deferred, Upgrades: upgrades})
		}
	}
	for i := range list[:r.IntN(len(list)+1)] { // some do not wait, some for several objects
		for _, k := range r.Perm(len(objects))[:1+r.IntN(min(2, len(objects)))] {
			objects[k].Waiters = append(objects[k].Waiters, Waiter{Goroutine: &list[i]})
		}
	}
	return objects
}

// A run plays the program on: it is what must hold, without a graph. Goroutines that do not
// wait run to their ends. Each releases what it has. A goroutine waits no longer once one of
// its objects is released by one of those that may, and by all that have deferred it.
type run struct {
	objects  []Object
	holders  []int  // of each object: goroutines that have deferred its release and have not ended
	upgrades []int  // of each object that no goroutine has deferred to release: those that upgrade and have not ended
	released []bool // of each object: a goroutine that may release it has ended, or one that is not known
	waits    map[*stacks.Goroutine]bool
}

// stuckAtTheEnd returns the goroutines that still wait when all others have ended.
func stuckAtTheEnd(objects []Object) map[*stacks.Goroutine]bool {
	r := run{objects, make([]int, len(objects)), make([]int, len(objects)), make([]bool, len(objects)), map[*stacks.Goroutine]bool{}}
	for i, o := range objects {
		for _, w := range o.Waiters {
			r.waits[w.Goroutine] = true
		}
		for _, other := range o.Others {
			if other.Deferred {
				r.holders[i]++
			}
		}
		for _, other := range o.Others {
			if other.Upgrades && r.holders[i] == 0 {
				r.upgrades[i]++
			}
		}
	}
	var runs []*stacks.Goroutine
	ready := map[*stacks.Goroutine]bool{}
	begin := func(g *stacks.Goroutine) {
		if !ready[g] {
			ready[g] = true
			runs = append(runs, g)
		}
	}
	for i, o := range objects {
		for _, other := range o.Others {
			if !r.waits[other.Goroutine] {
				begin(other.Goroutine)
			}
		}
		if len(o.Others) == 0 || o.more {
			r.released[i] = true
			r.wake(i, begin)
		}
	}
	for len(runs) > 0 {
		g := runs[0]
		runs = runs[1:]
		for i, o := range objects {
			for _, other := range o.Others {
				if other.Goroutine != g {
					continue
				}
				r.released[i] = true
				if other.Deferred {
					r.holders[i]--
				}
				if other.Upgrades && r.upgrades[i] > 0 {
					r.upgrades[i]--
				}
				r.wake(i, begin)
			}
		}
	}
	return r.waits
}

// wake lets the waiters of an object begin if it is released.
func (r *run) wake(i int, begin func(*stacks.Goroutine)) {
	if !r.released[i] || r.holders[i] > 0 || r.upgrades[i] > 0 {
		return
	}
	for _, w := range r.objects[i].Waiters {
		if r.waits[w.Goroutine] {
			delete(r.waits, w.Goroutine)
			begin(w.Goroutine)
		}
	}
}

// waitsFor returns the goroutines because of which a stuck goroutine waits, but for those in
// skip.
func waitsFor(objects []Object, g *stacks.Goroutine, stuck, skip map[*stacks.Goroutine]bool, certain bool) map[*stacks.Goroutine]bool {
	out := map[*stacks.Goroutine]bool{}
	for _, o := range objects {
		if !slices.ContainsFunc(o.Waiters, func(w Waiter) bool { return w.Goroutine == g }) {
			continue
		}
		held := slices.ContainsFunc(o.Others, func(other Other) bool { return other.Deferred && stuck[other.Goroutine] })
		upgraded := slices.ContainsFunc(o.Others, func(other Other) bool { return other.Upgrades && stuck[other.Goroutine] })
		for _, other := range o.Others {
			if stuck[other.Goroutine] && !skip[other.Goroutine] && (other.Deferred || !held && !certain && (other.Upgrades || !upgraded)) {
				out[other.Goroutine] = true
			}
		}
	}
	return out
}

// eachOther returns the goroutines that wait for g, and g for them.
func eachOther(objects []Object, g *stacks.Goroutine, stuck, skip map[*stacks.Goroutine]bool, certain bool) map[*stacks.Goroutine]bool {
	from := func(start *stacks.Goroutine) map[*stacks.Goroutine]bool {
		seen := map[*stacks.Goroutine]bool{}
		for todo := []*stacks.Goroutine{start}; len(todo) > 0; todo = todo[1:] {
			for to := range waitsFor(objects, todo[0], stuck, skip, certain) {
				if !seen[to] {
					seen[to] = true
					todo = append(todo, to)
				}
			}
		}
		return seen
	}
	out := map[*stacks.Goroutine]bool{}
	for other := range from(g) {
		if from(other)[g] {
			out[other] = true
		}
	}
	return out
}

// blockedBy returns how many stuck goroutines wait for the objects of the cycle, or for what
// deferred calls of its members and of these release.
func blockedBy(objects []Object, d *Deadlock, members, stuck map[*stacks.Goroutine]bool) int {
	all := map[*stacks.Goroutine]bool{}
	for m := range members {
		all[m] = true
	}
	for _, s := range d.Cycle {
		for _, w := range s.Object.Waiters {
			if stuck[w.Goroutine] {
				all[w.Goroutine] = true
			}
		}
	}
	for before := -1; before != len(all); {
		before = len(all)
		for g := range stuck {
			for to := range waitsFor(objects, g, stuck, nil, true) {
				if all[to] {
					all[g] = true
				}
			}
		}
	}
	return len(all) - len(members)
}

// Deadlocks of random graphs: there is one if a goroutine is stuck when the program plays on,
// each cycle is closed and as certain as it claims, no goroutine is in two, and the numbers
// are those of the reference.
func TestDeadlocksOfRandomGraphs(t *testing.T) {
	some := map[string]int{}
	for seed := range uint64(20000) {
		objects := randomWaits(rand.New(rand.NewPCG(seed, 0)))
		stuck := stuckAtTheEnd(objects)
		g := graphOf(objects)
		g.keepStuck()
		for _, w := range g.order {
			if g.stuck[w] != stuck[w] {
				t.Fatalf("seed %d: goroutine %d is stuck: %v, want %v", seed, w.ID, g.stuck[w], stuck[w])
			}
		}
		all := Deadlocks(objects)
		members, certain := map[*stacks.Goroutine]bool{}, map[*stacks.Goroutine]bool{}
		for i := range all {
			d := &all[i]
			some[fmt.Sprintf("certain %v of %d", d.Certain, min(len(d.Cycle), 3))]++
			if len(d.Cycle) == 0 {
				t.Fatalf("seed %d: a deadlock without a cycle", seed)
			}
			for i, s := range d.Cycle {
				next := d.Cycle[(i+1)%len(d.Cycle)].Goroutine
				if !stuck[s.Goroutine] {
					t.Fatalf("seed %d: goroutine %d is not stuck", seed, s.ID)
				}
				some[s.Object.Kind]++
				found := false
				for _, other := range s.Object.Others {
					found = found || other.Goroutine == next && other.Deferred == s.Deferred
				}
				if !found || d.Certain && !s.Deferred {
					t.Fatalf("seed %d: goroutine %d does not wait for %d", seed, s.ID, next.ID)
				}
			}
			skip := certain // the certain ones come first
			if d.Certain {
				skip = nil
			}
			each := eachOther(objects, d.Cycle[0].Goroutine, stuck, skip, d.Certain)
			if want := blockedBy(objects, d, each, stuck); d.Members != len(each) || d.Blocked != want {
				t.Fatalf("seed %d: %d members and %d blocked, want %d and %d", seed, d.Members, d.Blocked, len(each), want)
			}
			if d.Blocked > 0 {
				some["blocked"]++
			}
			for _, s := range d.Cycle {
				if !each[s.Goroutine] {
					t.Fatalf("seed %d: goroutine %d of the cycle does not wait for the others", seed, s.ID)
				}
			}
			for m := range each {
				if members[m] {
					t.Fatalf("seed %d: goroutine %d is in two deadlocks", seed, m.ID)
				}
				members[m] = true
				if d.Certain {
					certain[m] = true
				}
			}
		}
		if (len(stuck) > 0) != (len(all) > 0) {
			t.Fatalf("seed %d: %d goroutines are stuck, %d deadlocks", seed, len(stuck), len(all))
		}
	}
	for _, kind := range []string{
		"certain true of 1", "certain true of 2", "certain true of 3", "certain false of 2", "certain false of 3", "blocked",
		mutex, rwMutex, "sync.WaitGroup", "chan", "sync.Cond",
	} {
		if some[kind] == 0 {
			t.Errorf("%s: no case", kind)
		}
	}
}

// A chain of waits may be as long as there are goroutines.
func TestDeadlockOfALongChain(t *testing.T) {
	const n = 200_000
	list := make([]stacks.Goroutine, n)
	objects := make([]Object, n)
	for i := range list {
		list[i].ID = uint64(i + 1)
		objects[i] = Object{Kind: mutex, Addr: memory.Address(i + 1), Waiters: []Waiter{{Goroutine: &list[i]}}, Others: []Other{{Goroutine: &list[max(i-1, 0)], Deferred: true}}}
	}
	objects[0].Others[0].Goroutine = &list[1]
	all := Deadlocks(objects)
	if len(all) != 1 || all[0].Members != 2 || all[0].Blocked != n-2 {
		t.Errorf("%d deadlocks, %+v", len(all), all)
	}
}

// The work grows as the number of deadlocks does, not as its square: allocations count it.
func TestManyDeadlocks(t *testing.T) {
	allocations := func(n int) float64 {
		list := make([]stacks.Goroutine, 2*n)
		objects := make([]Object, 2*n)
		for i := range list {
			list[i].ID = uint64(i + 1)
			objects[i] = Object{Kind: mutex, Addr: memory.Address(i + 1), Waiters: []Waiter{{Goroutine: &list[i]}}, Others: []Other{{Goroutine: &list[i^1], Deferred: true}}}
		}
		if got := len(Deadlocks(objects)); got != n {
			t.Fatalf("%d deadlocks, want %d", got, n)
		}
		return testing.AllocsPerRun(1, func() { Deadlocks(objects) })
	}
	few, many := allocations(100), allocations(400)
	if many > 6*few {
		t.Errorf("%.0f allocations for 100 deadlocks, %.0f for 400", few, many)
	}
	t.Logf("%.0f allocations for 100 deadlocks, %.0f for 400", few, many)
}
