package process

import (
	"slices"
	"testing"
)

// The IDs of threads that start after the kernel's highest ID are lower than the
// process' own.
func TestMainThreadIsFirst(t *testing.T) {
	ids := []int{300, 32767, 32766, 301}
	sortThreads(ids, 32766)
	if want := []int{32766, 300, 301, 32767}; !slices.Equal(ids, want) {
		t.Errorf("the threads are in the order %v, not %v", ids, want)
	}
}
