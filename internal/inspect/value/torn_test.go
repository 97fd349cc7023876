package value

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// TestTorn: what changed while it was read is remarked at the value that it is in,
// and at no other.
func TestTorn(t *testing.T) {
	type pair struct {
		A, B int
		Name string
		List []int
		Map  map[string]int
		Next *pair
	}
	root := &pair{A: 11, B: 12, Name: string([]byte("some text")), List: []int{21, 22, 23}, Map: map[string]int{"k": 31}, Next: &pair{A: 41}}
	p, typ, addr := self(t, root, func(m memory.Memory) memory.Memory { return m })
	for _, c := range []struct {
		name string
		at   unsafe.Pointer
		want string // text before the remark
	}{
		{"a field", unsafe.Pointer(&root.B), "B:12"},
		{"a string's header", unsafe.Pointer(&root.Name), `Name:"sometext"`},
		{"a string's bytes", unsafe.Pointer(unsafe.StringData(root.Name)), `Name:"sometext"`},
		{"an element", unsafe.Pointer(&root.List[1]), "22"},
		{"a value that a pointer leads to", unsafe.Pointer(&root.Next.A), "A:41"},
		{"nothing", nil, ""},
	} {
		p.Core.Torn = nil
		if c.at != nil {
			p.Core.Torn = memory.RangesOf(memory.RangeOf(memory.Address(uintptr(c.at)), 4))
		}
		text := strings.Join(strings.Fields(Read(p, typ, addr, Limits{}).Go()), "")
		const remark = "/*torn:itchangedwhileitwasread*/"
		want := 1
		if c.at == nil {
			want = 0
		}
		if n := strings.Count(text, remark); n != want || !strings.Contains(text, c.want+strings.Repeat(remark, want)) {
			t.Errorf("%s: %d remarks in %s", c.name, n, text)
		}
	}
	// The count in a map's header.
	p.Core.Torn = memory.RangesOf(memory.RangeOf(*(*memory.Address)(unsafe.Pointer(&root.Map)), 8))
	if text := Read(p, typ, addr, Limits{}).Go(); strings.Count(text, "torn: it changed") != 1 {
		t.Errorf("a map's header: %s", text)
	}
}
