package meminspect

import "github.com/meminspect/meminspect/runtime/internal/registry"

// A Backend receives regions as they are registered and unregistered, and
// publishes them to a reader that works after the program is dead.
//
// Calls come one at a time and in order. A Backend must not register or
// unregister regions, attach or detach; it may call Regions and Lookup. If a
// Backend refuses a region, with an error or a panic, the region stays
// registered for everything else, and the Backend receives no UnregisterRegion
// for it.
//
// A region that contains exclusions comes in several parts, with one call for
// each.
type Backend interface {
	// Name returns the backend's name, for errors.
	Name() string
	// RegisterRegion adds a region. An error refuses it.
	RegisterRegion(Region) error
	// UnregisterRegion removes a region that RegisterRegion accepted.
	UnregisterRegion(Region) error
}

// An Event is a change of the regions. If Err is not nil, a backend refused the
// change: Err names the backend and wraps its error. The change has still
// happened: Region is registered or unregistered.
type Event struct {
	Added  bool // true if added, false if removed
	Region Region
	Err    error
}

// Attach adds a backend and registers all current regions with it. If the error
// is [ErrBackend] or [ErrAttached], the backend is not attached. Otherwise it
// is attached, and the error joins its refusals of current regions. [Notify]
// reports later refusals.
func Attach(b Backend) error {
	if registry.Off {
		return nil
	}
	if b == nil {
		return ErrBackend
	}
	return registry.Attach(backend{b})
}

// Detach unregisters all regions from a backend, the latest first, and removes
// it. The error is [ErrNotAttached], or joins what the backend returned.
func Detach(b Backend) error {
	if registry.Off {
		return nil
	}
	return registry.Detach(backend{b})
}

// A backend adapts a public Backend to the registry's interface.
type backend struct{ Backend }

func (b backend) RegisterRegion(r registry.Region) error {
	return b.Backend.RegisterRegion(newRegion(&r))
}

func (b backend) UnregisterRegion(r registry.Region) error {
	return b.Backend.UnregisterRegion(newRegion(&r))
}

// Notify calls fn for every current region, as added, and then for every
// change, in order and one at a time. The calls happen on the goroutines that
// make the changes, outside all locks, so fn may use this whole package. A
// panic of fn is recovered. After stop returns, no call begins.
func Notify(fn func(Event)) (stop func()) {
	if registry.Off {
		return func() {}
	}
	return registry.Notify(func(e registry.Event) {
		fn(Event{Added: e.Added, Region: newRegion(&e.Region), Err: e.Err})
	})
}
