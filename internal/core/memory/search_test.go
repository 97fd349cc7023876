package memory_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// pages is memory with some unreadable pages.
type pages struct {
	data []byte
	bad  map[int]bool
}

func (m pages) ReadAt(p []byte, addr memory.Address) (int, error) {
	for i := range p {
		at := int(addr) + i
		if at >= len(m.data) || m.bad[at/4096] {
			return i, memory.Unreadable(addr.Add(uint64(i)), memory.ErrNotMapped)
		}
		p[i] = m.data[at]
	}
	return len(p), nil
}

func (m pages) Segments() []memory.Segment {
	return []memory.Segment{{Range: memory.Range{End: memory.Address(len(m.data))}, Write: true}}
}

// Every occurrence is found once, also across the borders of pieces, for any
// unreadable pages.
func TestSearch(t *testing.T) {
	const size = 3<<20 + 100
	pattern := []byte("0123456789abcdef")
	places := []int{0, 8, 4096*3 - 8, 1<<20 - 16, 1<<20 + 8, 2<<20 - 8, 2<<20 + 4096*5, 3 << 20, size - 16}
	// The second overlaps the end of the first, the one at 2<<20-8 crosses pages.
	for _, bad := range []map[int]bool{nil, {2: true}, {0: true, 1: true, 256: true}, {511: true}, {768: true}} {
		data := make([]byte, size)
		var want []memory.Address
		for _, at := range places {
			if at == 8 {
				continue
			}
			copy(data[at:], pattern)
			if !bad[at/4096] && !bad[(at+15)/4096] {
				want = append(want, memory.Address(at))
			}
		}
		copy(data[4096*9+4:], pattern) // not aligned
		mem := pages{data, bad}
		if got := slices.Collect(memory.Search(mem, pattern, 8, nil)); !slices.Equal(got, aligned(want)) {
			t.Errorf("without pages %v: %v, want %v", bad, got, aligned(want))
		}
		if bad == nil {
			lent := slices.Collect(memory.Search(memory.Buffer{Data: data}, pattern, 4, nil))
			if !slices.Equal(lent, slices.Collect(memory.Search(mem, pattern, 4, nil))) || !slices.Contains(lent, 4096*9+4) {
				t.Errorf("lent memory: %v", lent)
			}
		}
	}
	mem := pages{bytes.Repeat([]byte("x"), 8192), nil}
	for hit := range memory.Search(mem, []byte("xx"), 1, nil) {
		if hit > 5 {
			break // the caller may stop early
		}
	}
	if got := slices.Collect(memory.Search(mem, pattern, 1, func(memory.Segment) bool { return false })); got != nil {
		t.Errorf("in no segment: %v", got)
	}
	if got := slices.Collect(memory.Search(mem, nil, 1, nil)); got != nil {
		t.Errorf("nothing was found at %v", got)
	}
}

func aligned(all []memory.Address) []memory.Address {
	return slices.DeleteFunc(slices.Clone(all), func(a memory.Address) bool { return a%8 != 0 })
}
