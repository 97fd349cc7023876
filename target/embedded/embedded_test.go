package embedded_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/target/embedded"
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

// What is decoded can be written and decoded again, and is the same.
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
	})
}
