package waits

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// randomWaits returns objects, and goroutines that wait for them and may release them.
func randomWaits(r *rand.Rand) []Object {
	list := make([]stacks.Goroutine, 2+r.IntN(12))
	for i := range list {
		list[i].ID = uint64(i + 1)
	}
	objects := make([]Object, 1+r.IntN(12))
	for i := range objects {
		o := &objects[i]
		*o = Object{Kind: mutex, Addr: memory.Address(0x1000 + i), more: r.IntN(16) == 0}
		for _, k := range r.Perm(len(list))[:r.IntN(min(3, len(list)+1))] {
			o.Others = append(o.Others, Other{Goroutine: &list[k], Deferred: r.IntN(3) == 0})
		}
	}
	for i := range list[:r.IntN(len(list)+1)] { // some do not wait, some for several objects
		for _, k := range r.Perm(len(objects))[:1+r.IntN(min(2, len(objects)))] {
			objects[k].Waiters = append(objects[k].Waiters, Waiter{Goroutine: &list[i]})
		}
	}
	return objects
}

// stuckOf returns the goroutines that are stuck, by trying them all again and again.
func stuckOf(objects []Object) map[*stacks.Goroutine]bool {
	stuck := map[*stacks.Goroutine]bool{}
	for _, o := range objects {
		for _, w := range o.Waiters {
			stuck[w.Goroutine] = true
		}
	}
	for changed := true; changed; {
		changed = false
		for _, o := range objects {
			held, free := false, len(o.Others) == 0 || o.more
			for _, other := range o.Others {
				held = held || other.Deferred && stuck[other.Goroutine]
				free = free || !stuck[other.Goroutine]
			}
			for _, w := range o.Waiters {
				if !held && free && stuck[w.Goroutine] {
					delete(stuck, w.Goroutine)
					changed = true
				}
			}
		}
	}
	return stuck
}

// Deadlocks of random graphs: there is one if a goroutine is stuck, each cycle is
// closed and as certain as it claims, and no goroutine is in two.
func TestDeadlocksOfRandomGraphs(t *testing.T) {
	some := map[string]int{}
	for seed := range uint64(20000) {
		objects := randomWaits(rand.New(rand.NewPCG(seed, 0)))
		stuck := stuckOf(objects)
		all := Deadlocks(objects)
		members := map[*stacks.Goroutine]bool{}
		for _, d := range all {
			some[fmt.Sprintf("certain %v of %d", d.Certain, min(len(d.Cycle), 3))]++
			if len(d.Cycle) == 0 || len(d.Cycle) > d.Members {
				t.Fatalf("seed %d: a cycle of %d in a deadlock of %d", seed, len(d.Cycle), d.Members)
			}
			for i, s := range d.Cycle {
				next := d.Cycle[(i+1)%len(d.Cycle)].Goroutine
				if !stuck[s.Goroutine] || members[s.Goroutine] {
					t.Fatalf("seed %d: goroutine %d is stuck: %v, in another deadlock: %v", seed, s.ID, stuck[s.Goroutine], members[s.Goroutine])
				}
				members[s.Goroutine] = true
				found := false
				for _, other := range s.Object.Others {
					found = found || other.Goroutine == next && other.Deferred == s.Deferred
				}
				if !found || d.Certain && !s.Deferred {
					t.Fatalf("seed %d: goroutine %d does not wait for %d", seed, s.ID, next.ID)
				}
			}
		}
		if (len(stuck) > 0) != (len(all) > 0) {
			t.Fatalf("seed %d: %d goroutines are stuck, %d deadlocks", seed, len(stuck), len(all))
		}
	}
	for _, kind := range []string{"certain true of 1", "certain true of 2", "certain true of 3", "certain false of 2", "certain false of 3"} {
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
