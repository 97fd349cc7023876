package meminspect

import "github.com/meminspect/meminspect/runtime/internal/registry"

// A Backend receives regions as they are registered and unregistered, to publish
// them where something reads them when the program is dead.
//
// Calls come one at a time and in order. A Backend must not register or
// unregister regions, attach or detach; Regions and Lookup are allowed. A region
// that it refuses, with an error or a panic, stays registered for everything
// else, and is not unregistered from it later.
//
// A region that contains exclusions comes in several parts, one in each call.
type Backend interface {
	// Name returns the backend's name, for errors.
	Name() string
	// RegisterRegion adds a region. An error refuses it.
	RegisterRegion(Region) error
	// UnregisterRegion removes a region that RegisterRegion accepted.
	UnregisterRegion(Region) error
}

// An Event is a change of the regions. If Err is not nil, a backend refused the
// change: Err names the backend and wraps its error, and Region is registered,
// or gone, all the same.
type Event struct {
	Added  bool // else removed
	Region Region
	Err    error
}

// Attach adds a backend and registers all current regions with it. The error is
// [ErrBackend] or [ErrAttached], and the backend is not attached; or the backend
// is attached and the error joins what it refused of the current regions. What
// it refuses later is reported through [Notify].
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

// A backend passes regions on to a public Backend.
type backend struct{ Backend }

func (b backend) RegisterRegion(r registry.Region) error {
	return b.Backend.RegisterRegion(newRegion(&r))
}

func (b backend) UnregisterRegion(r registry.Region) error {
	return b.Backend.UnregisterRegion(newRegion(&r))
}

// Notify calls fn for every current region, as added, and then for every change,
// in order and one at a time. It is called on the goroutines that make the
// changes, outside all locks: it may use all of this package. A panic of fn is
// recovered. After stop returns, no call begins.
func Notify(fn func(Event)) (stop func()) {
	if registry.Off {
		return func() {}
	}
	return registry.Notify(func(e registry.Event) {
		fn(Event{Added: e.Added, Region: newRegion(&e.Region), Err: e.Err})
	})
}
