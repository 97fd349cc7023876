package registry

// A Backend receives regions as they are registered and unregistered. Package
// meminspect documents it.
type Backend interface {
	Name() string
	RegisterRegion(Region) error
	UnregisterRegion(Region) error
}

// An Event is a change of the regions. If Err is set, a backend refused the
// change; the change has still happened.
type Event struct {
	Added  bool // true if added, false if removed
	Region Region
	Err    error // names the backend and the region
}

// A refusal is a backend's error for a region.
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
