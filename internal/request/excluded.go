package request

// Excluded is what texts about a program must not contain: what its exclusions
// are about.
type Excluded struct {
	// Values are the bytes of excluded values and of what they lead to. Partial
	// reports that there are more.
	Values  []ExcludedValue
	Partial bool

	// Panics are the goroutines, by their IDs, that panic with a value of a known
	// type about which there is no exclusion.
	Panics map[uint64]bool
}

// An ExcludedValue is the memory of one excluded value, or of what it leads to.
type ExcludedValue struct {
	Data    []byte
	Reached bool // from an excluded value: the bytes of a string, an element
}
