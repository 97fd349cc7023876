package embedded_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

func content() *embedded.Content {
	elem, depth := 1, int32(2)
	return &embedded.Content{
		Build:      embedded.Build{GoID: "a/b"},
		Go:         "go1.27.3",
		Arch:       "arm64",
		Entries:    []embedded.Entry{{ID: 1<<63 | 5, Package: "p", Name: "n", Expr: "v", Addr: 1 << 40, Size: 8, Type: 0, Depth: &depth}},
		Exclusions: []embedded.Exclusion{{Kind: 1, Type: -1}},
		Types:      []embedded.Type{{Name: "*int", Kind: "ptr", Size: 8, Elem: &elem}, {Name: "int", Kind: "int", Size: 8}},
		Runtime:    embedded.Runtime{Symbols: map[string]embedded.Symbol{"runtime.allgs": {Addr: 7, Size: 24}}, Structs: map[string]embedded.Struct{}},
	}
}

func TestRoundTrip(t *testing.T) {
	b, err := embedded.Encode(content())
	if err != nil {
		t.Fatal(err)
	}
	got, err := embedded.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(content(), got); diff != "" {
		t.Errorf("written (-), read (+):\n%s", diff)
	}
	if text, err := embedded.Text(b); err != nil || !strings.Contains(string(text), `"id":"8000000000000005"`) {
		t.Errorf("text %s, %v", text, err)
	}
	for at := range b {
		for bit := range 8 {
			b[at] ^= 1 << bit
			if c, err := embedded.Decode(b); err == nil && (at < 12 || at >= 16) {
				t.Fatalf("with bit %d of byte %d changed: %+v", bit, at, c)
			}
			b[at] ^= 1 << bit
		}
	}
	for size := range b {
		if _, err := embedded.Decode(b[:size]); !errors.Is(err, embedded.ErrDamaged) {
			t.Fatalf("the first %d bytes: %v", size, err)
		}
	}
	b[8] = 2
	if _, err := embedded.Decode(b); err == nil || !strings.Contains(err.Error(), "version 2, and this tool knows version 1") {
		t.Errorf("a newer version: %v", err)
	}
}

// Indices that lead nowhere are damage.
func TestIndices(t *testing.T) {
	for _, spoil := range []func(*embedded.Content){
		func(c *embedded.Content) { c.Entries[0].Type = 2 },
		func(c *embedded.Content) { c.Entries[0].Type = -2 },
		func(c *embedded.Content) { c.Exclusions[0].Type = 9 },
		func(c *embedded.Content) { *c.Types[0].Elem = 2 },
		func(c *embedded.Content) { c.Types[0].Fields = []embedded.Field{{Type: 3}} },
	} {
		c := content()
		spoil(c)
		b, err := embedded.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := embedded.Decode(b); !errors.Is(err, embedded.ErrDamaged) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Types that lead nowhere, or contain themselves, are refused.
func TestTypes(t *testing.T) {
	zero, one := 0, 1
	list := []embedded.Type{
		{Name: "main.node", Package: "main", Kind: "struct", Size: 16, Fields: []embedded.Field{{Name: "next", Type: 1}, {Name: "n", Offset: 8, Type: 2}}},
		{Name: "*main.node", Kind: "ptr", Elem: &zero},
		{Name: "int", Kind: "int"},
	}
	c := &embedded.Content{Types: list}
	node, err := embedded.NewTypes(c, nowhere(), 0).At(0)
	if err != nil || !node.Made || node.Size != 16 || node.PtrBytes != 8 || node.Name() != "node" {
		t.Fatalf("%+v, %v", node, err)
	}
	if elem, err := node.Fields[0].Type.Elem(); elem != node {
		t.Errorf("the list does not lead back to itself: %v, %v", elem, err)
	}
	for name, bad := range map[string]embedded.Type{
		"itself":      {Kind: "struct", Size: 16, Fields: []embedded.Field{{Name: "me"}}},
		"array":       {Kind: "array", Len: 2, Elem: &zero},
		"kind":        {Kind: "thing"},
		"descriptor":  {Kind: "ptr", Elem: &one, Addr: 8},
		"no element":  {Kind: "array", Len: 2},
		"untyped":     {Kind: "struct", Size: 16, Fields: []embedded.Field{{Name: "x", Type: -1}}},
		"too large":   {Kind: "struct", Size: 1 << 60},
		"outside":     {Kind: "struct", Size: 8, Fields: []embedded.Field{{Name: "x", Offset: 8, Type: 2}}},
		"overlapping": {Kind: "struct", Size: 8, Fields: []embedded.Field{{Name: "x", Type: 2}, {Name: "y", Type: 2}}},
	} {
		types := append([]embedded.Type{bad}, list[1:]...)
		if got, err := embedded.NewTypes(&embedded.Content{Types: types}, nowhere(), 0).At(0); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// nowhere are the types of a program of which nothing can be read.
func nowhere() *gotypes.Set { return gotypes.New(&memory.Spliced{}, &module.Program{}) }

// What is decoded can be written and decoded again, and is the same; its types
// are made or refused.
func FuzzDecode(f *testing.F) {
	b, err := embedded.Encode(content())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[56:])
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		// The checksum would keep the fuzzer out.
		c, err := embedded.Decode(embedded.Seal(text))
		if err != nil {
			return
		}
		b, err := embedded.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := embedded.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Errorf("first (-), second (+):\n%s", diff)
		}
		for i := range c.Types {
			if made, err := embedded.NewTypes(c, nowhere(), 0).At(i); (made == nil) == (err == nil) {
				t.Errorf("type %d: %+v, %v", i, made, err)
			}
		}
	})
}
