//go:build !meminspect_off

package meminspect

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// listeners are those who are told of changes. Their mutex is taken before the
// registry's and held while backends are told, so that each hears everything
// once and in order; without listeners nobody takes it.
type listeners struct {
	mu        sync.Mutex
	some      atomic.Bool // changes under both mutexes
	end       func(events []Event, excluded bool) error
	backends  []*attached
	notifiers []*notifier
}

var listening listeners

// An attached backend, with the parts of regions that it took.
type attached struct {
	Backend
	name string // asked for once, when nothing is locked yet
	took map[regionKey][]Region
}

// A regionKey tells regions apart, several under one ID too.
type regionKey struct {
	id    ID
	order uint64
	base  uintptr // static entries have no order
}

func (r *Region) key() regionKey { return regionKey{r.ID, r.Order, uintptr(r.base)} }

// A change is one change of the registry: begun, made, told.
type change struct {
	tell     bool
	excluded bool // exclusions changed
	events   []Event
}

// begin locks the registry for a change.
func (c *change) begin() {
	reg.mu.Lock()
	if !listening.some.Load() {
		return
	}
	reg.mu.Unlock()
	listening.mu.Lock()
	reg.mu.Lock()
	c.tell = true
}

func (c *change) note(added bool, ref uint32) {
	s := reg.slot(ref)
	if s.kind == anchor.SlotExcluded {
		c.excluded = true
		return
	}
	if c.tell {
		c.events = append(c.events, Event{added, s.region()})
	}
}

// end unlocks the registry, tells the backends and notifiers, and returns what
// the backends had against it.
func (c *change) end() error {
	if !c.tell {
		reg.mu.Unlock()
		return nil
	}
	return listening.end(c.events, c.excluded)
}

// endTelling is listeners' own end of a change. It is reached through a
// variable that Attach and Notify set, so that a program that only registers
// does not link what telling takes.
func endTelling(events []Event, excluded bool) error {
	var past []Region
	if excluded {
		past = slices.Collect(staticRegions)
		past = append(past, reg.copyLocked()...)
	}
	reg.mu.Unlock()
	notifiers, err := listening.tell(events, past)
	for _, n := range notifiers {
		n.drain()
	}
	return err
}

// tell tells the backends, unlocks, also where one of them ends the goroutine,
// and returns the notifiers, who have their events queued.
func (l *listeners) tell(events []Event, past []Region) ([]*notifier, error) {
	defer l.mu.Unlock()
	for _, e := range events {
		for _, n := range l.notifiers {
			n.queue(e)
		}
	}
	failed := retell(past)
	for _, e := range events {
		for _, b := range l.backends {
			failed = append(failed, b.tell(e)...)
		}
	}
	return slices.Clone(l.notifiers), errors.Join(failed...)
}

// Attach adds a backend and tells it of all regions that there are. It returns
// what the backend had against single regions, joined; the backend is attached
// all the same, unless the error is ErrAttached. b must be comparable.
func Attach(b Backend) error {
	name := b.Name()
	listening.mu.Lock()
	defer listening.mu.Unlock()
	for _, a := range listening.backends {
		if a.Backend == b {
			return ErrAttached
		}
	}
	a := &attached{Backend: b, name: name, took: map[regionKey][]Region{}}
	reg.mu.Lock()
	listening.backends = append(listening.backends, a)
	listening.end = endTelling
	listening.some.Store(true)
	past := slices.Collect(staticRegions)
	past = append(past, reg.copyLocked()...)
	reg.mu.Unlock()
	var failed []error
	for _, r := range past {
		failed = append(failed, a.tell(Event{true, r})...)
	}
	return errors.Join(failed...)
}

// Detach withdraws all regions from the backend, the latest first, and removes
// it. It returns ErrNotAttached, or what the backend had against it, joined.
func Detach(b Backend) error {
	listening.mu.Lock()
	defer listening.mu.Unlock()
	i := slices.IndexFunc(listening.backends, func(a *attached) bool { return a.Backend == b })
	if i < 0 {
		return ErrNotAttached
	}
	a := listening.backends[i]
	reg.mu.Lock()
	listening.backends = slices.Delete(slices.Clone(listening.backends), i, i+1)
	listening.some.Store(len(listening.backends)+len(listening.notifiers) > 0)
	past := slices.Collect(staticRegions)
	past = append(past, reg.copyLocked()...)
	reg.mu.Unlock()
	var failed []error
	for _, r := range slices.Backward(past) {
		failed = append(failed, a.tell(Event{false, r})...)
	}
	return errors.Join(failed...)
}

// tell tells a backend of one change, part by part. What it took is what is
// withdrawn from it later, whatever exclusions came in between.
func (a *attached) tell(e Event) (failed []error) {
	key := e.Region.key()
	parts, op := a.took[key], opUnregister
	if e.Added {
		parts, op = e.Region.Parts(), opRegister
	}
	var took []Region
	for _, r := range parts {
		if err := a.call(e.Added, r); err != nil {
			failed = append(failed, &BackendError{Backend: a.name, Op: op, ID: r.ID, Name: r.Name, Err: err})
			continue
		}
		took = append(took, r)
	}
	delete(a.took, key)
	if e.Added {
		a.took[key] = took
	}
	return failed
}

// retell has the backends know regions whose parts an exclusion has changed.
func retell(past []Region) (failed []error) {
	for _, b := range listening.backends {
		for _, r := range past {
			if samePlaces(b.took[r.key()], r.Parts()) {
				continue
			}
			failed = append(failed, b.tell(Event{false, r})...)
			failed = append(failed, b.tell(Event{true, r})...)
		}
	}
	return failed
}

func samePlaces(a, b []Region) bool {
	return slices.EqualFunc(a, b, func(x, y Region) bool { return x.addr == y.addr && x.Size == y.Size })
}

// call keeps a backend's panic from its callers, who only registered a region.
func (a *attached) call(add bool, r Region) (err error) {
	defer func() {
		if recover() != nil {
			err = ErrPanic
		}
	}()
	if add {
		return a.RegisterRegion(r)
	}
	return a.UnregisterRegion(r)
}
