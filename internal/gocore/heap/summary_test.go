package heap

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// What is encoded comes back, and encodes to the same bytes.
func TestSummary(t *testing.T) {
	for seed := range uint64(200) {
		g := randomGraph(rand.New(rand.NewPCG(seed, 0)))
		s := g.Summarize(g.Holdings(), []Path{{Root: 0, Steps: []string{"[*]", ".Tags"}, Type: "map[string]string", Objects: seed, Bytes: 1 << 40, Retained: 1 << 50}})
		b := s.Encode()
		back, err := DecodeSummary(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.Encode(), b) {
			t.Fatalf("seed %d: %+v came back as %+v", seed, s, back)
		}
		// Entries come first in the bytes.
		if len(s.Roots) != len(back.Roots) || !reflect.DeepEqual(s.Paths, back.Paths) || s.Totals != back.Totals || s.Unknown != back.Unknown {
			t.Fatalf("seed %d: %+v came back as %+v", seed, s, back)
		}
	}
}

// A summary is never too large: all entries stay, then come the largest of the
// others, and what is left out is counted.
func TestSummaryFits(t *testing.T) {
	s := &Summary{}
	for i := range 300 {
		s.Roots = append(s.Roots, Holding{Root: Root{Kind: Entry, Name: fmt.Sprintf("main.entry%d", i)}})
	}
	for i := range 5000 {
		s.Roots = append(s.Roots, Holding{Root: Root{Kind: Global, Name: strings.Repeat("g", 300)}, Retained: uint64(5000 - i)})
		s.Paths = append(s.Paths, SummaryPath{Path: strings.Repeat("p", 300), Retained: uint64(5000 - i)})
	}
	b := s.Encode()
	if len(b) > MaxSummary {
		t.Fatalf("%d bytes", len(b))
	}
	back, err := DecodeSummary(b)
	if err != nil {
		t.Fatal(err)
	}
	entries := 0
	for _, r := range back.Roots {
		if r.Root.Kind == Entry {
			entries++
		}
	}
	if entries != 300 || len(back.Roots) <= 300 || len(back.Paths) == 0 {
		t.Errorf("%d entries, %d roots, %d paths", entries, len(back.Roots), len(back.Paths))
	}
	if uint64(len(back.Roots))+back.OmittedRoots != 5300 || uint64(len(back.Paths))+back.OmittedPaths != 5000 {
		t.Errorf("%d roots and %d more, %d paths and %d more", len(back.Roots), back.OmittedRoots, len(back.Paths), back.OmittedPaths)
	}
	if r := back.Roots[300]; r.Retained != 5000 {
		t.Errorf("the largest root retains %d", r.Retained)
	}
}

// Bytes of any origin give an error or a summary that can be encoded.
func FuzzDecodeSummary(f *testing.F) {
	f.Add((&Summary{Roots: []Holding{{Root: Root{Kind: Entry, Name: "main.sessions", Count: 1}, Retained: 7}}, Paths: []SummaryPath{{Path: "main.sessions[*]", Type: "T"}}}).Encode())
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSummary(b)
		if err != nil {
			return
		}
		if again, err := DecodeSummary(s.Encode()); err != nil || len(again.Roots) > len(s.Roots) {
			t.Errorf("%v", err)
		}
	})
}
