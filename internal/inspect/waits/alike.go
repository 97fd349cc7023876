package waits

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meminspect/meminspect/internal/duration"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// A Set is objects that are alike: to none of them a path leads, they are in the same state,
// and the same numbers of goroutines wait for each of them at the same places. Others are
// alone.
type Set []*Object

// Alike returns the objects in sets, the most wanted first.
func Alike(objects []Object) []Set {
	var sets []Set
	index := map[string]int{}
	places := placeNames{}
	for i := range objects {
		o := &objects[i]
		if o.Addr == 0 || o.Path != "" {
			sets = append(sets, Set{o})
			continue
		}
		key := places.key(o)
		at, ok := index[key]
		if !ok {
			at = len(sets)
			index[key] = at
			sets = append(sets, nil)
		}
		sets[at] = append(sets[at], o)
	}
	slices.SortStableFunc(sets, func(a, b Set) int { return cmp.Compare(b.waiters(), a.waiters()) })
	return sets
}

// Each returns each object in a separate set.
func Each(objects []Object) []Set {
	sets := make([]Set, len(objects))
	for i := range objects {
		sets[i] = Set{&objects[i]}
	}
	return sets
}

// waiters returns how many goroutines wait for the objects.
func (s Set) waiters() int { return len(s) * len(s[0].Waiters) }

// Waiters returns the goroutines that wait for the objects.
func (s Set) Waiters() []Waiter {
	if len(s) == 1 {
		return s[0].Waiters
	}
	all := make([]Waiter, 0, s.waiters())
	for _, o := range s {
		all = append(all, o.Waiters...)
	}
	return all
}

// State returns the state of the channels: see [Channel.String].
func (s Set) State() string {
	if s[0].Channel == nil {
		return ""
	}
	first, last := time.Duration(0), time.Duration(0)
	for _, o := range s {
		if left := o.Channel.Left; left > 0 {
			first, last = min(cmp.Or(first, left), left), max(last, left)
		}
	}
	from, to := duration.Roughly(first), duration.Roughly(last)
	if from == to {
		return s[0].Channel.String()
	}
	c := *s[0].Channel
	c.Left = 0
	return fmt.Sprintf("%s, their timers fire in %s to %s", c.String(), from, to)
}

// placeNames has the names of the places where goroutines wait: they share stacks.
type placeNames map[*stacks.Frame]string

func (p placeNames) of(g *stacks.Goroutine) string {
	if len(g.Frames) == 0 {
		return ""
	}
	name, ok := p[&g.Frames[0]]
	if !ok {
		f := stacks.Caller(g.Calls())
		name = fmt.Sprintf("%s %s:%d", f.Function, f.File, f.Line)
		p[&g.Frames[0]] = name
	}
	return name
}

// key is the same for objects that are alike.
func (p placeNames) key(o *Object) string {
	var waiters, others []string
	for _, w := range o.Waiters {
		waiters = append(waiters, fmt.Sprint(w.Action, w.Select, w.Leaked(), p.of(w.Goroutine)))
	}
	for _, g := range o.Others {
		others = append(others, fmt.Sprint(g.Deferred, g.Upgrades, g.Uses, g.State, p.of(g.Goroutine)))
	}
	slices.Sort(waiters)
	slices.Sort(others)
	state, fires := "", false
	if o.Channel != nil {
		c := *o.Channel
		fires, c.Left = c.Left > 0, 0
		state = c.String()
	}
	return fmt.Sprint(o.Type(), "\n", state, fires, "\n", strings.Join(waiters, "\n"), "\n\n", strings.Join(others, "\n"))
}
