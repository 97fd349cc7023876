// Package ring has a generic ring of values.
package ring

// Of is a ring of T.
type Of[T any] struct {
	Slots [8]Slot[T]
	next  int
}

// Slot holds one value.
type Slot[T any] struct {
	N int
	//meminspect:exclude
	secret T
}

// Push adds a value.
func (r *Of[T]) Push(v T) {
	r.Slots[r.next%len(r.Slots)] = Slot[T]{r.next, v}
	r.next++
}

//meminspect:entry
var shared = Of[string]{next: 1}

// Shared returns how many values the shared ring took.
func Shared() int { return shared.next }
