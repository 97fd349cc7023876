package registry

// A Backend receives regions as they are registered and unregistered. See
// package meminspect, whose backends it also serves.
type Backend interface {
	Name() string
	RegisterRegion(Region) error
	UnregisterRegion(Region) error
}

// An Event is a change of the regions. With an error, it is a change that a
// backend refused; the region is registered, or gone, all the same.
type Event struct {
	Added  bool // else removed
	Region Region
	Err    error // names the backend and the region
}

// A refusal is what a backend returned for a region.
type refusal struct {
	backend string
	added   bool
	id      uint64
	name    string // of the region, "" if it has none
	err     error
}

func (r *refusal) Error() string {
	op := "unregister"
	if r.added {
		op = "register"
	}
	return ErrorText("backend "+r.backend+": "+op, r.id, r.name, r.err)
}

func (r *refusal) Unwrap() error { return r.err }
