package heap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// A Summary is what a core keeps of a heap: names and numbers, and no byte of any
// value. Names of types and variables are in it even if their values are excluded.
type Summary struct {
	Totals Totals

	Reached, ReachedBytes uint64
	Shared, SharedBytes   uint64
	Garbage, GarbageBytes uint64
	Unknown, UnknownBytes uint64

	// Roots are all annotated entries, and of the other roots those that retain
	// most. OmittedRoots and OmittedPaths are how many did not fit.
	Roots        []Holding
	Paths        []SummaryPath
	OmittedRoots uint64
	OmittedPaths uint64
}

// A SummaryPath is a [Path] as a text.
type SummaryPath struct {
	Kind                     RootKind // of its root
	Path                     string   // from the root's name on
	Type                     string
	Objects, Bytes, Retained uint64
}

// MaxSummary is how many bytes an encoded Summary may take; summaryRoots and
// summaryPaths are how many roots and paths it may have besides the entries.
const (
	MaxSummary   = 256 << 10
	summaryRoots = 1000
	summaryPaths = 1000
)

// Summarize makes a summary of what [Graph.Holdings] and [Graph.Paths] returned for
// a graph. paths may be nil.
func (g *Graph) Summarize(h *Holdings, paths []Path) *Summary {
	s := &Summary{
		Totals:  g.Totals,
		Reached: h.Reached, ReachedBytes: h.ReachedBytes, Shared: h.Shared, SharedBytes: h.SharedBytes,
		Garbage: h.Garbage, GarbageBytes: h.GarbageBytes, Unknown: h.Unknown, UnknownBytes: h.UnknownBytes,
		Roots: h.ByRetained(),
	}
	for i := range s.Roots {
		s.Roots[i].Root.global = nil
	}
	for _, p := range paths {
		root := &g.Roots[p.Root]
		s.Paths = append(s.Paths, SummaryPath{root.Kind, root.Name + strings.Join(p.Steps, ""), p.Type, p.Objects, p.Bytes, p.Retained})
	}
	return s
}

// summaryVersion is the version of the layout:
//
//	version, the 6 totals, reached, shared, garbage, unknown (objects and bytes
//	each), omitted roots and paths,
//	number of roots, and of each: kind, name, count, objects, bytes, retained
//	objects, retained,
//	number of paths, and of each: kind, path, type, objects, bytes, retained
//
// Numbers are unsigned varints, texts have their length in front.
const summaryVersion = 1

// Encode returns the summary as bytes, MaxSummary at most: of roots and paths that
// retain least, as many as do not fit are left out and counted. Entries stay as long
// as they fit.
func (s *Summary) Encode() []byte {
	var entries, others [][]byte
	for i := range s.Roots {
		r := &s.Roots[i]
		b := encodeText([]byte{byte(r.Root.Kind)}, r.Root.Name)
		b = encodeNumbers(b, uint64(max(r.Root.Count, 0)), r.Objects, r.Bytes, r.RetainedObjects, r.Retained)
		if r.Root.Kind == Entry {
			entries = append(entries, b)
		} else {
			others = append(others, b)
		}
	}
	var paths [][]byte
	for i := range s.Paths {
		p := &s.Paths[i]
		b := encodeText(encodeText([]byte{byte(p.Kind)}, p.Path), p.Type)
		paths = append(paths, encodeNumbers(b, p.Objects, p.Bytes, p.Retained))
	}
	const head = 32 * binary.MaxVarintLen64
	left := MaxSummary - head
	entries, left = fitting(entries, len(entries), left)
	// Roots may take half of what is left, so that there is room for paths.
	others, unused := fitting(others, summaryRoots, left/2)
	paths, _ = fitting(paths, summaryPaths, left-left/2+unused)

	out := encodeNumbers(nil, summaryVersion,
		s.Totals.Objects, s.Totals.Bytes, s.Totals.Spans, s.Totals.SpanBytes, s.Totals.StackBytes, s.Totals.ScanBytes,
		s.Reached, s.ReachedBytes, s.Shared, s.SharedBytes, s.Garbage, s.GarbageBytes, s.Unknown, s.UnknownBytes,
		s.OmittedRoots+uint64(len(s.Roots)-len(entries)-len(others)), s.OmittedPaths+uint64(len(s.Paths)-len(paths)))
	out = encodeNumbers(out, uint64(len(entries)+len(others)))
	for _, b := range append(entries, others...) {
		out = append(out, b...)
	}
	out = encodeNumbers(out, uint64(len(paths)))
	for _, b := range paths {
		out = append(out, b...)
	}
	return out
}

// fitting returns the first records, most at most, that room bytes hold, and the
// room that is left.
func fitting(records [][]byte, most, room int) ([][]byte, int) {
	n := 0
	for n < min(most, len(records)) && len(records[n]) <= room {
		room -= len(records[n])
		n++
	}
	return records[:n], room
}

func encodeNumbers(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func encodeText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// ErrSummary is wrapped by the errors of DecodeSummary.
var ErrSummary = errors.New("not a summary of a heap")

// DecodeSummary reads what [Summary.Encode] wrote.
func DecodeSummary(b []byte) (*Summary, error) {
	d := summaryDecoder{b: b}
	if v := d.number(); d.err == nil && v != summaryVersion {
		return nil, fmt.Errorf("%w: version %d, and this tool knows version %d: update meminspect", ErrSummary, v, summaryVersion)
	}
	s := &Summary{}
	for _, n := range []*uint64{
		&s.Totals.Objects, &s.Totals.Bytes, &s.Totals.Spans, &s.Totals.SpanBytes, &s.Totals.StackBytes, &s.Totals.ScanBytes,
		&s.Reached, &s.ReachedBytes, &s.Shared, &s.SharedBytes, &s.Garbage, &s.GarbageBytes, &s.Unknown, &s.UnknownBytes,
		&s.OmittedRoots, &s.OmittedPaths,
	} {
		*n = d.number()
	}
	for range d.number() {
		r := Holding{Root: Root{Kind: d.kind(), Name: d.text(), Count: int(min(d.number(), maxSlots))}}
		r.Objects, r.Bytes, r.RetainedObjects, r.Retained = d.number(), d.number(), d.number(), d.number()
		if d.err != nil {
			return nil, d.err
		}
		s.Roots = append(s.Roots, r)
	}
	for range d.number() {
		p := SummaryPath{Kind: d.kind(), Path: d.text(), Type: d.text()}
		p.Objects, p.Bytes, p.Retained = d.number(), d.number(), d.number()
		if d.err != nil {
			return nil, d.err
		}
		s.Paths = append(s.Paths, p)
	}
	if d.err == nil && len(d.b) > 0 {
		d.err = fmt.Errorf("%w: %d bytes too many", ErrSummary, len(d.b))
	}
	if d.err != nil {
		return nil, d.err
	}
	return s, nil
}

// A summaryDecoder reads numbers and texts. After an error they are zero.
type summaryDecoder struct {
	b   []byte
	err error
}

func (d *summaryDecoder) number() uint64 {
	if d.err != nil {
		return 0
	}
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.err = fmt.Errorf("%w: it ends in a number", ErrSummary)
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *summaryDecoder) kind() RootKind {
	n := d.number()
	if d.err == nil && n > uint64(Cleanup) {
		d.err = fmt.Errorf("%w: a root of kind %d", ErrSummary, n)
	}
	if d.err != nil {
		return 0
	}
	return RootKind(n)
}

func (d *summaryDecoder) text() string {
	n := d.number()
	if d.err == nil && n > uint64(len(d.b)) {
		d.err = fmt.Errorf("%w: a text of %d bytes, %d are left", ErrSummary, n, len(d.b))
	}
	if d.err != nil {
		return ""
	}
	text := string(d.b[:n])
	d.b = d.b[n:]
	return text
}
