package value

import (
	"iter"

	"github.com/meminspect/meminspect/internal/inspect"
)

// streaming is how a reader reads what has too many elements for one tree. Their
// values are read when they are written, one at a time. A value that a later pointer
// refers to must be known before it is written, so everything is read twice: the
// first time to find these values.
type streaming struct {
	enabled  bool
	marking  bool                  // the first time: what leads nowhere is not decoded
	second   bool                  // twice is known
	twice    map[pointed]bool      // what more than one pointer leads to; nil in a tree
	seen     map[pointed]*mapFacts // large maps
	made     int                   // streams
	reuse    bool                  // values are made by the arena
	hasParts bool                  // values have their Parts
}

// mapFacts are what the first reading of a map finds for the second.
type mapFacts struct {
	foundEntries          // sorted
	texts        bool     // see jsonName
	hidden       []string // notes on entries that are left out
}

// maxTree is how many elements of one list or map are in a tree.
const maxTree = 128

// Stream is [Place.Read] for values of any size: elements of long lists and maps are
// read when the value is written, so that memory does not grow with them. The value
// can be written once, by [Value.WriteGo] or [Value.WriteJSON].
func (pl Place) Stream(p *inspect.Program, limits Limits) *Value {
	short := newReader(p, limits)
	short.enabled, short.seen = true, map[pointed]*mapFacts{}
	if v := short.root(pl); short.made == 0 {
		return v
	}
	first := newReader(p, limits)
	first.streaming = streaming{enabled: true, marking: true, reuse: true, twice: map[pointed]bool{}, seen: short.seen}
	first.root(pl).drain()
	second := newReader(p, limits)
	second.streaming = streaming{enabled: true, second: true, reuse: true, twice: first.twice, seen: first.seen}
	return second.root(pl)
}

// Scan is [Place.Stream] for those who look at each value once: which values other
// pointers refer to is not known. Values have their Parts.
func (pl Place) Scan(p *inspect.Program, limits Limits) *Value {
	r := newReader(p, limits)
	r.streaming = streaming{enabled: true, twice: map[pointed]bool{}, seen: map[pointed]*mapFacts{}, hasParts: true}
	return r.root(pl)
}

// streams reports whether n elements are to be a stream.
func (r *reader) streams(n uint64) bool {
	if !r.enabled || n <= maxTree {
		return false
	}
	r.made++
	return true
}

// stream makes the entries of a map that next has not read a stream.
func (e *entries) stream(next func() (Entry, bool)) {
	e.r.seen[e.at] = e.facts
	e.v.texts = e.facts.texts
	e.v.Notes = append(e.v.Notes, e.facts.hidden...)
	e.v.stream = func(yield func(Entry) bool) {
		e.r.streamOf(next)(yield)
		e.facts.hidden = e.hiddenNotes()
	}
}

// streamOf returns what a function reads until it has no more.
func (r *reader) streamOf(next func() (Entry, bool)) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		used := r.arena.used
		for e, ok := next(); ok && yield(e); e, ok = next() {
			r.arena.used = used
		}
	}
}

// drain reads all streams of a value.
func (v *Value) drain() {
	if !v.streamed {
		return
	}
	for _, f := range v.Fields {
		f.Value.drain()
	}
	for _, e := range v.Elems {
		e.drain()
	}
	for _, e := range v.Entries {
		e.Value.drain()
	}
	if v.Elem != nil {
		v.Elem.drain()
	}
	if v.Senders != nil {
		for _, e := range v.Senders.Values {
			e.drain()
		}
	}
	if v.stream != nil {
		for e := range v.stream {
			e.Value.drain()
		}
	}
}

// AllFields returns the fields of a struct, those of a stream included.
func (v *Value) AllFields() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for _, f := range v.Fields {
			if !yield(f) {
				return
			}
		}
		for e := range v.rest(Struct) {
			if !yield(Field{e.Key.Text, e.Value}) {
				return
			}
		}
	}
}

// AllElems returns the elements of a list or a channel, those of a stream included.
func (v *Value) AllElems() iter.Seq[*Value] {
	return func(yield func(*Value) bool) {
		for _, e := range v.Elems {
			if !yield(e) {
				return
			}
		}
		for e := range v.rest(List) {
			if !yield(e.Value) {
				return
			}
		}
	}
}

// AllEntries returns the entries of a map, those of a stream included.
func (v *Value) AllEntries() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for _, e := range v.Entries {
			if !yield(e) {
				return
			}
		}
		for e := range v.rest(Map) {
			if !yield(e) {
				return
			}
		}
	}
}

// rest returns the stream of a value of a shape, none of another one.
func (v *Value) rest(shape Shape) iter.Seq[Entry] {
	if v.stream == nil || v.Shape != shape {
		return func(func(Entry) bool) {}
	}
	return v.stream
}
