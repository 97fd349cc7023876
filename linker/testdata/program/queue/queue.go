// Package queue counts.
package queue

//meminspect:entry name=Head member=head
var ring struct {
	tail int64
	head slot
}

//meminspect:exclude
type secret struct{ k [8]byte }

type slot struct {
	n    int
	next *slot
	s    secret
}

// Push counts n.
func Push(n int) { ring.head.n += n }
