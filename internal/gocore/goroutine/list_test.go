package goroutine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// However many records there are, and wherever the bad ones are, ReadAll returns what Decode
// does for one after the other.
func TestReadAll(t *testing.T) {
	layout, err := LayoutOf(module.Version{Minor: module.NewestMinor})
	if err != nil {
		t.Fatal(err)
	}
	const base, n = 0xc000000000, 5_000
	size := uint64(layout.Size)
	address := func(i int) memory.Address { return memory.Address(base).Add(uint64(i) * size) }
	for name, bad := range map[string]func(i int) bool{
		"none":         func(int) bool { return false },
		"all":          func(int) bool { return true },
		"first":        func(i int) bool { return i == 0 },
		"last":         func(i int) bool { return i == n-1 },
		"first half":   func(i int) bool { return i < n/2 },
		"second half":  func(i int) bool { return i >= n/2 },
		"every second": func(i int) bool { return i%2 == 0 },
	} {
		for _, unreadable := range []int{0, 1, n / 2, n} { // at the end
			t.Run(fmt.Sprintf("%s, %d unreadable", name, unreadable), func(t *testing.T) {
				data := make([]byte, (n-unreadable)*layout.Size)
				addrs := make([]memory.Address, n)
				var want []G
				first := ""
				for i := range n {
					addrs[i] = address(i)
					if i < n-unreadable {
						b := data[i*layout.Size:][:layout.Size]
						binary.LittleEndian.PutUint64(b[layout.goid:], uint64(i))
						if bad(i) {
							binary.LittleEndian.PutUint64(b[gSchedG:], 1)
						}
						if g, err := layout.Decode(addrs[i], b); err == nil {
							want = append(want, g)
							continue
						}
					}
					if first == "" {
						first = addrs[i].String()
					}
				}
				rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
				for _, room := range [][]G{nil, make([]G, 0, n), make([]G, 7, 2*n)} {
					got := layout.ReadAll(memory.Buffer{Base: base, Data: data}, addrs, nil, room)
					if !slices.Equal(got.All, want) {
						t.Errorf("%d goroutines, not the same %d", len(got.All), len(want))
					}
					if got.Bad != n-len(want) || len(got.Records) != n || len(got.Data) != n {
						t.Errorf("%d are bad of %d, want %d", got.Bad, len(got.Records), n-len(want))
					}
					if (got.First == nil) != (first == "") || got.First != nil && !strings.Contains(got.First.Error(), first) {
						t.Errorf("the first is bad because of %v, want %s", got.First, first)
					}
				}
			})
		}
	}
}
