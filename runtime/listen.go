package meminspect

// A Backend is told of regions as they come and go: it writes them into a
// table that firmware reads, say. The backend that is there without asking
// does nothing.
//
// Calls come one at a time and in order. A Backend must not register or
// unregister regions, attach or detach; Regions and Lookup are allowed. When it
// fails, or panics, the region stands, the others are told of it, and whoever
// made the change gets the error. A region that a backend refused is not
// withdrawn from it later.
//
// Around exclusions a region comes in several parts, each a call of its own.
type Backend interface {
	Name() string
	RegisterRegion(Region) error
	UnregisterRegion(Region) error
}

// An Event says that a region came or went.
type Event struct {
	Added  bool // else removed
	Region Region
}

// A BackendError says which backend failed for which region.
type BackendError struct {
	Backend string
	Op      string // "register" or "unregister"
	ID      ID
	Name    string // of the region, if it has one
	Err     error
}

func (e *BackendError) Error() string {
	s := "meminspect: backend " + e.Backend + ": " + e.Op + " " + e.ID.String()
	if e.Name != "" {
		s += " (" + e.Name + ")"
	}
	return s + ": " + e.Err.Error()
}

func (e *BackendError) Unwrap() error { return e.Err }
