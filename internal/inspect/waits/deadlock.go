package waits

import (
	"cmp"
	"slices"

	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// A Deadlock is goroutines that wait for each other.
type Deadlock struct {
	// Cycle is a shortest cycle of waits. The last goroutine may be let go by the first.
	Cycle []Step

	// Certain reports that a deferred call of each goroutine of the cycle unlocks the lock, or
	// counts down the wait group, for which the one before it waits. Otherwise a goroutine
	// uses the object or has a pointer to it, and all that do wait for each other, or it
	// upgrades its own lock.
	Certain bool

	// Members is how many goroutines are in cycles with each other, and Blocked how many
	// more wait for the objects of the cycle, or for what they hold.
	Members, Blocked int
}

// A Step is a goroutine of a cycle and what it waits for.
type Step struct {
	Waiter
	Object *Object
	// Deferred reports that a deferred call of the goroutine of the next step unlocks the
	// lock, or counts down the wait group.
	Deferred bool
	// Upgrades reports that the goroutine of the next step upgrades its own lock: see
	// [Other.Upgrades].
	Upgrades bool
}

// Deadlocks returns the deadlocks among the goroutines that wait for objects: the certain
// ones first, then by the number of goroutines.
//
// A goroutine is stuck if each object for which it waits can only be released by
// goroutines that are stuck, as far as the core knows them. A deadlock is a cycle of these.
func Deadlocks(objects []Object) []Deadlock {
	g := graphOf(objects)
	g.keepStuck()
	var out []Deadlock
	used := map[*stacks.Goroutine]bool{}
	for _, certain := range []bool{true, false} {
		for _, members := range g.components(certain, used) {
			d := Deadlock{Cycle: g.cycle(members, certain), Certain: certain, Members: len(members)}
			for _, m := range members {
				used[m] = true
			}
			d.Blocked = g.blocked(members, d.Cycle)
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(a, b Deadlock) int {
		switch {
		case a.Certain == b.Certain:
			return cmp.Compare(b.Members+b.Blocked, a.Members+a.Blocked)
		case a.Certain:
			return -1
		}
		return 1
	})
	return out
}

// A waitGraph leads from goroutines to those that may let them go on.
type waitGraph struct {
	order []*stacks.Goroutine // those that wait, in the order of their IDs
	steps map[*stacks.Goroutine][]Step
	stuck map[*stacks.Goroutine]bool

	// waiting has the goroutines that wait for what a goroutine may release, and held those
	// that wait for what its deferred calls release.
	waiting, held map[*stacks.Goroutine][]*stacks.Goroutine
}

func graphOf(objects []Object) *waitGraph {
	g := &waitGraph{
		steps: map[*stacks.Goroutine][]Step{}, stuck: map[*stacks.Goroutine]bool{},
		waiting: map[*stacks.Goroutine][]*stacks.Goroutine{}, held: map[*stacks.Goroutine][]*stacks.Goroutine{},
	}
	for i := range objects {
		o := &objects[i]
		for _, w := range o.Waiters {
			if g.steps[w.Goroutine] == nil {
				g.order = append(g.order, w.Goroutine)
			}
			g.steps[w.Goroutine] = append(g.steps[w.Goroutine], Step{Waiter: w, Object: o})
			g.stuck[w.Goroutine] = true
		}
	}
	slices.SortFunc(g.order, func(a, b *stacks.Goroutine) int { return cmp.Compare(a.ID, b.ID) })
	for _, w := range g.order {
		for i := range g.steps[w] {
			for _, other := range g.steps[w][i].Object.Others {
				if other.Goroutine != w {
					g.waiting[other.Goroutine] = append(g.waiting[other.Goroutine], w)
				}
				if other.Deferred {
					g.held[other.Goroutine] = append(g.held[other.Goroutine], w)
				}
			}
		}
	}
	return g
}

// keepStuck removes those from the stuck goroutines that may go on, until none is left.
func (g *waitGraph) keepStuck() {
	check := slices.Clone(g.order)
	for len(check) > 0 {
		w := check[len(check)-1]
		check = check[:len(check)-1]
		if g.stuck[w] && !g.waitsForStuck(w) {
			g.stuck[w] = false
			check = append(check, g.waiting[w]...)
		}
	}
}

// waitsForStuck reports whether only stuck goroutines can let a goroutine go on.
func (g *waitGraph) waitsForStuck(w *stacks.Goroutine) bool {
	return !slices.ContainsFunc(g.steps[w], func(s Step) bool { return !g.heldByStuck(s.Object) })
}

// heldByStuck reports whether only stuck goroutines can release an object. One that has
// deferred a call with it has to: otherwise any of those with a pointer can. One that upgrades
// its own lock is the reader for which it waits, unless another has to unlock too.
func (g *waitGraph) heldByStuck(o *Object) bool {
	upgrades, holder, free := false, false, false
	for i := range o.Others {
		other := &o.Others[i]
		stuck := g.stuck[other.Goroutine]
		if stuck && other.Deferred {
			return true
		}
		upgrades = upgrades || stuck && other.Upgrades
		holder = holder || other.Deferred
		free = free || !stuck
	}
	return upgrades && !holder || len(o.Others) > 0 && !o.more && !free
}

// next returns the stuck goroutines because of which the waiter of a step is stuck: those
// with a deferred call, or, unless it is to be certain, those that upgrade their own lock, or
// else those with a pointer.
func (g *waitGraph) next(s *Step, certain bool) (out []Other) {
	reasons := []func(*Other) bool{
		func(other *Other) bool { return other.Deferred },
		func(other *Other) bool { return other.Upgrades },
		func(*Other) bool { return true },
	}
	if certain {
		reasons = reasons[:1]
	}
	for _, reason := range reasons {
		for _, other := range s.Object.Others {
			if g.stuck[other.Goroutine] && reason(&other) {
				out = append(out, other)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// components returns the sets of goroutines that wait for each other: Tarjan's algorithm,
// with an explicit stack, since a chain of waits may be long. Goroutines in skip are left
// out.
func (g *waitGraph) components(certain bool, skip map[*stacks.Goroutine]bool) (out [][]*stacks.Goroutine) {
	type call struct {
		node *stacks.Goroutine
		next []*stacks.Goroutine
		self bool // it leads to itself
	}
	index, low := map[*stacks.Goroutine]int{}, map[*stacks.Goroutine]int{}
	open := map[*stacks.Goroutine]bool{}
	var component []*stacks.Goroutine
	enter := func(node *stacks.Goroutine) call {
		c := call{node: node}
		for i := range g.steps[node] {
			for _, other := range g.next(&g.steps[node][i], certain) {
				if !skip[other.Goroutine] {
					c.next = append(c.next, other.Goroutine)
					c.self = c.self || other.Goroutine == node
				}
			}
		}
		index[node] = len(index) + 1
		low[node] = index[node]
		component, open[node] = append(component, node), true
		return c
	}
	for _, start := range g.order {
		if !g.stuck[start] || skip[start] || index[start] > 0 {
			continue
		}
		calls := []call{enter(start)}
		for len(calls) > 0 {
			c := &calls[len(calls)-1]
			if len(c.next) > 0 {
				to := c.next[0]
				c.next = c.next[1:]
				switch {
				case index[to] == 0:
					calls = append(calls, enter(to))
				case open[to]:
					low[c.node] = min(low[c.node], index[to])
				}
				continue
			}
			done := *c
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				above := calls[len(calls)-1].node
				low[above] = min(low[above], low[done.node])
			}
			if low[done.node] != index[done.node] {
				continue
			}
			at := len(component) - 1
			for component[at] != done.node {
				at--
			}
			members := slices.Clone(component[at:])
			component = component[:at]
			for _, m := range members {
				open[m] = false
			}
			if len(members) > 1 || done.self {
				out = append(out, members)
			}
		}
	}
	return out
}

// cycle returns a shortest cycle through the first of the goroutines that wait for each
// other.
func (g *waitGraph) cycle(members []*stacks.Goroutine, certain bool) []Step {
	first, in := members[0], map[*stacks.Goroutine]bool{}
	for _, m := range members {
		in[m] = true
		if m.ID < first.ID {
			first = m
		}
	}
	type visit struct {
		from int // index of the visit before
		step Step
		to   *stacks.Goroutine
	}
	seen := map[*stacks.Goroutine]bool{}
	queue := []visit{{from: -1, to: first}}
	for at := 0; at < len(queue); at++ {
		node := queue[at].to
		for _, s := range g.steps[node] {
			for _, other := range g.next(&s, certain) {
				s.Deferred, s.Upgrades = other.Deferred, other.Upgrades
				if other.Goroutine == first {
					cycle := []Step{s}
					for i := at; queue[i].from >= 0; i = queue[i].from {
						cycle = append(cycle, queue[i].step)
					}
					slices.Reverse(cycle)
					return cycle
				}
				if in[other.Goroutine] && !seen[other.Goroutine] {
					seen[other.Goroutine] = true
					queue = append(queue, visit{at, s, other.Goroutine})
				}
			}
		}
	}
	return nil
}

// blocked returns how many goroutines wait for the objects of a cycle, or for what they hold,
// as deferred calls show, or those that wait for that. Pointers are too weak for this count:
// many are leftovers.
func (g *waitGraph) blocked(members []*stacks.Goroutine, cycle []Step) int {
	seen := map[*stacks.Goroutine]bool{}
	todo := slices.Clone(members)
	for i := range cycle {
		for _, w := range cycle[i].Object.Waiters {
			todo = append(todo, w.Goroutine)
		}
	}
	for len(todo) > 0 {
		node := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !seen[node] && g.stuck[node] {
			seen[node] = true
			todo = append(todo, g.held[node]...)
		}
	}
	return len(seen) - len(members)
}
