package memory

import "testing"

// An arena gives zeroed memory of its own until it is used up, small or large.
func TestArena(t *testing.T) {
	for _, size := range []uint64{0, 1, 4096, 40<<20 + 3} {
		a := NewArena(size)
		first, second := a.Take(size/2), a.Take(size-size/2)
		for i := range first {
			first[i] = 1
		}
		for i, b := range second {
			if b != 0 {
				t.Fatalf("size %d: byte %d is %d", size, i, b)
			}
		}
		if beyond := a.Take(10); len(beyond) != 10 || a.Taken() != size+10 {
			t.Errorf("size %d: %d bytes beyond, %d taken", size, len(beyond), a.Taken())
		}
	}
	var none *Arena
	if got := none.Take(5); len(got) != 5 {
		t.Errorf("%d bytes from no arena", len(got))
	}
}
