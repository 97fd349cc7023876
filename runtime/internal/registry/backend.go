//go:build !meminspect_off

package registry

import (
	"errors"
	"reflect"
	"slices"
)

// An attached is an attached backend with the parts of regions that it
// accepted.
type attached struct {
	Backend
	name     string // read once, before anything is locked
	accepted map[regionKey][]Region
}

// A regionKey identifies a region, even among those with the same ID.
type regionKey struct {
	id    uint64
	order uint64
	base  uintptr // needed because static entries have no order
}

func (r *Region) key() regionKey { return regionKey{r.ID, r.Order, uintptr(r.base)} }

// announce ends a change when there are listeners: it unlocks the registry,
// which the change has locked, and informs backends and notifiers.
func announce(events []Event, excluded bool) {
	var all []Region
	if excluded {
		all = reg.allLocked()
	}
	reg.mu.Unlock()
	for _, n := range listening.inform(events, all) {
		n.drain()
	}
}

// inform calls the backends and unlocks, even if one of them ends the
// goroutine. It returns the notifiers, whose events are queued.
func (l *listeners) inform(events []Event, all []Region) []*notifier {
	defer l.mu.Unlock()
	l.queue(events)
	for _, b := range l.backends {
		l.queue(b.update(all))
	}
	for _, e := range events {
		for _, b := range l.backends {
			l.queue(b.inform(e))
		}
	}
	return slices.Clone(l.notifiers)
}

func (l *listeners) queue(events []Event) {
	for _, e := range events {
		for _, n := range l.notifiers {
			n.queue(e)
		}
	}
}

// listen makes a change of the listeners effective. Both mutexes are locked.
func (l *listeners) listen() {
	l.announce = announce
	l.any.Store(len(l.backends)+len(l.notifiers) > 0)
}

// Attach adds a backend and registers all current regions with it. If the error
// is ErrBackend or ErrAttached, the backend is not attached; otherwise the
// error joins the backend's refusals.
func Attach(b Backend) error {
	if b == nil || !reflect.ValueOf(b).Comparable() {
		return ErrBackend
	}
	name := b.Name()
	listening.mu.Lock()
	defer listening.mu.Unlock()
	if listening.find(b) >= 0 {
		return ErrAttached
	}
	a := &attached{Backend: b, name: name, accepted: map[regionKey][]Region{}}
	reg.mu.Lock()
	listening.backends = append(listening.backends, a)
	listening.listen()
	all := reg.allLocked()
	reg.mu.Unlock()
	return a.informAll(true, all)
}

// Detach unregisters all regions from a backend, the latest first, and removes
// it. The error is ErrNotAttached or joins the backend's errors.
func Detach(b Backend) error {
	listening.mu.Lock()
	defer listening.mu.Unlock()
	i := listening.find(b)
	if i < 0 {
		return ErrNotAttached
	}
	a := listening.backends[i]
	reg.mu.Lock()
	listening.backends = slices.Delete(slices.Clone(listening.backends), i, i+1)
	listening.listen()
	all := reg.allLocked()
	reg.mu.Unlock()
	slices.Reverse(all)
	return a.informAll(false, all)
}

// find returns the index of a backend, -1 if it is not attached.
func (l *listeners) find(b Backend) int {
	if b == nil || !reflect.ValueOf(b).Comparable() {
		return -1
	}
	return slices.IndexFunc(l.backends, func(a *attached) bool { return a.Backend == b })
}

// informAll registers or unregisters regions, and joins the backend's refusals.
func (a *attached) informAll(added bool, all []Region) error {
	var errs []error
	for _, r := range all {
		for _, e := range a.inform(Event{Added: added, Region: r}) {
			errs = append(errs, e.Err)
		}
	}
	return errors.Join(errs...)
}

// inform informs a backend of one change, part by part, and returns the refused
// parts. It unregisters the parts that the backend accepted, whatever
// exclusions have been added since.
func (a *attached) inform(e Event) (refused []Event) {
	key := e.Region.key()
	parts := a.accepted[key]
	if e.Added {
		parts = e.Region.Parts()
	}
	var accepted []Region
	for _, r := range parts {
		if err := a.call(e.Added, r); err != nil {
			refused = append(refused, Event{e.Added, r, &refusal{a.name, e.Added, r.ID, r.Name, err}})
			continue
		}
		accepted = append(accepted, r)
	}
	delete(a.accepted, key)
	if e.Added {
		a.accepted[key] = accepted
	}
	return refused
}

// update registers the regions again whose parts an exclusion has changed.
func (a *attached) update(all []Region) (refused []Event) {
	for _, r := range all {
		if !samePlaces(a.accepted[r.key()], r.Parts()) {
			refused = append(refused, a.inform(Event{Region: r})...)
			refused = append(refused, a.inform(Event{Added: true, Region: r})...)
		}
	}
	return refused
}

func samePlaces(a, b []Region) bool {
	return slices.EqualFunc(a, b, func(x, y Region) bool { return x.addr == y.addr && x.Size == y.Size })
}

// call recovers a backend's panic, because the caller only registered a region.
func (a *attached) call(added bool, r Region) (err error) {
	defer func() {
		if recover() != nil {
			err = ErrPanic
		}
	}()
	if added {
		return a.RegisterRegion(r)
	}
	return a.UnregisterRegion(r)
}
