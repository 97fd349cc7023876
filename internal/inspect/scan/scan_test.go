package scan_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/meminspect/meminspect/internal/inspect/scan"
)

func TestParse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ arg, want string }{
		{"some text", "some text"},
		{"hex:00ff00fe", "\x00\xff\x00\xfe"},
		{"@" + file, "from a file"},
		{"abc", ""},
		{"hex:0g", ""},
		{"hex:00", ""},
		{"@" + file + ".missing", ""},
	} {
		p, err := scan.Parse(c.arg)
		if string(p.Bytes) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q is %q, %v; want %q", c.arg, p.Bytes, err, c.want)
		}
	}
}

// Whatever the text and wherever chunks end, the hits are those that a search
// of the whole text at every offset gives.
func TestReaderFindsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SliceOfN(rapid.SampledFrom([]byte("ab")), 4, 6)
		var patterns []scan.Pattern
		for range rapid.IntRange(1, 3).Draw(t, "patterns") {
			patterns = append(patterns, scan.Pattern{Bytes: letters.Draw(t, "pattern")})
		}
		text := bytes.Repeat([]byte{'.'}, 1<<20-20)
		text = append(text, rapid.SliceOfN(rapid.SampledFrom([]byte("ab")), 0, 40).Draw(t, "text")...)
		var want, got []scan.Hit
		for i, p := range patterns {
			back := slices.Clone(p.Bytes)
			slices.Reverse(back)
			for at := 1<<20 - 64; at < len(text); at++ {
				if bytes.HasPrefix(text[at:], p.Bytes) {
					want = append(want, scan.Hit{Pattern: i, Offset: int64(at)})
				}
				if !bytes.Equal(back, p.Bytes) && bytes.HasPrefix(text[at:], back) {
					want = append(want, scan.Hit{Pattern: i, Offset: int64(at), Reversed: true})
				}
			}
		}
		n, err := scan.Reader(iotest.OneByteReader(bytes.NewReader(text[1<<20-60:])), patterns, func(scan.Hit) {})
		if err != nil || n != int64(len(text)-(1<<20-60)) {
			t.Fatalf("%d bytes read, %v", n, err)
		}
		if _, err := scan.Reader(bytes.NewReader(text), patterns, func(h scan.Hit) { got = append(got, h) }); err != nil {
			t.Fatal(err)
		}
		order := func(a, b scan.Hit) int {
			if a.Offset != b.Offset {
				return int(a.Offset - b.Offset)
			}
			return a.Pattern - b.Pattern
		}
		slices.SortStableFunc(want, order)
		slices.SortStableFunc(got, order)
		if !slices.Equal(want, got) {
			t.Fatalf("found %v, want %v", got, want)
		}
	})
}
