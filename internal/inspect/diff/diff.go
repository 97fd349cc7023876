// Package diff compares two cores of a program: values by their types, and goroutines
// by their stacks.
package diff

import (
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/paths"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Kind is how a value differs.
type Kind string

// The kinds of changes.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
)

// A Change is a value that differs.
type Change struct {
	Path          string
	Kind          Kind
	Before, After *value.Value // nil if it was added or removed
}

// A Result is what differs between two programs.
type Result struct {
	Changes []Change
	// Unknown is how many values could not be compared, because a core does not have
	// them.
	Unknown int
}

// Programs compares the regions of two programs.
func Programs(before, after *inspect.Program, limits value.Limits) Result {
	d := newDiffer()
	later := map[uint64]*note.Region{}
	for _, r := range regions(after) {
		later[r.ID] = r
	}
	mainOf := func(p *inspect.Program) string {
		if p.Core.Capture == nil {
			return ""
		}
		return p.Core.Capture.Main
	}
	for _, r := range regions(before) {
		path, old := paths.Root(value.Label(r, mainOf(before))), value.Region(before, r, limits)
		other := later[r.ID]
		delete(later, r.ID)
		if other == nil {
			d.change(path, Removed, old, nil)
			continue
		}
		d.values(path, old, value.Region(after, other, limits))
	}
	for _, r := range regions(after) {
		if later[r.ID] != nil {
			d.change(paths.Root(value.Label(r, mainOf(after))), Added, nil, value.Region(after, r, limits))
		}
	}
	return d.Result
}

// regions returns the regions of a program but those in which it describes itself. Of
// more than one with an ID it returns the first.
func regions(p *inspect.Program) (list []*note.Region) {
	seen := map[uint64]bool{}
	for i := range p.Core.Regions {
		r := &p.Core.Regions[i]
		if r.ID >= anchor.FirstDynamic && !seen[r.ID] {
			seen[r.ID] = true
			list = append(list, r)
		}
	}
	return list
}

// values compares two values that have a path in both programs.
func (d *differ) values(path *paths.Path, before, after *value.Value) {
	d.before, d.after = index(before), index(after)
	d.left = minPairs + pairsPerValue*(len(d.before)+len(d.after))
	d.value(path, before, after)
	for len(d.later) > 0 {
		next := d.later[0]
		d.later = d.later[1:]
		d.hops = next.hops
		d.compare(next.path, next.before, next.after)
	}
	d.hops = 0
}

// A differ collects changes.
type differ struct {
	Result
	before, after map[place]*value.Value // what is referred to
	compared      map[pair]bool          // also by other paths
	later         []comparison           // of values that are shown elsewhere
	hops          int                    // of the comparison
	left          int                    // pairs of values that may be compared later
	hashes        hasher
}

func newDiffer() *differ { return &differ{compared: map[pair]bool{}} }

// A comparison is of two values of which one is shown elsewhere. It is made after that of
// all values that are shown: then most of them are compared, and the rest takes no
// recursion. Rings of p and q elements have p*q pairs.
type comparison struct {
	path          *paths.Path
	before, after *value.Value
	hops          int // comparisons that led to it
}

// Bounds of the comparisons of values that are shown elsewhere.
const (
	maxHops       = 8 // one after the other
	pairsPerValue = 4 // for each value that can be referred to
	minPairs      = 1000
)

// A place is what a pointer, a list or a map that is shown elsewhere refers to.
type place struct {
	addr memory.Address
	typ  string
}

// placeOf returns the place of a value that refers. Pointers of all kinds to a value have
// one place.
func placeOf(v *value.Value) place {
	typ := v.Type
	if v.Shape == value.Pointer {
		typ = strings.TrimPrefix(typ, "*")
		if _, elem, ok := strings.Cut(typ, "Pointer["); ok {
			typ = strings.TrimSuffix(elem, "]")
		}
	}
	return place{v.Addr, typ}
}

type pair struct{ before, after place }

// index returns what values may refer to. A value of a tree is in it once.
func index(v *value.Value) map[place]*value.Value {
	found := map[place]*value.Value{}
	var visit func(*value.Value)
	visit = func(v *value.Value) {
		if refers(v) && !v.BackRef {
			found[placeOf(v)] = v
		}
		for _, e := range v.Entries { // a key may show what others refer to
			visit(e.Key)
		}
		for e := range below(v) {
			visit(e)
		}
	}
	visit(v)
	return found
}

// refers reports whether a value may be written as the address of one that is shown
// elsewhere.
func refers(v *value.Value) bool {
	return v.Shape == value.Pointer || v.Shape == value.List || v.Shape == value.Map
}

// below returns the values in a value but for keys.
func below(v *value.Value) func(func(*value.Value) bool) {
	return func(yield func(*value.Value) bool) {
		for _, f := range v.Fields {
			if !yield(f.Value) {
				return
			}
		}
		for _, e := range v.Elems {
			if !yield(e) {
				return
			}
		}
		for _, e := range v.Entries {
			if !yield(e.Value) {
				return
			}
		}
		if v.Elem != nil {
			yield(v.Elem)
		}
	}
}

// shown returns the value that one refers to.
func shown(v *value.Value, places map[place]*value.Value) *value.Value {
	if v.BackRef {
		if first := places[placeOf(v)]; first != nil {
			return first
		}
	}
	return v
}

// value compares two values. Those of which one is shown elsewhere are compared later.
func (d *differ) value(path *paths.Path, before, after *value.Value) {
	referred := before.BackRef || after.BackRef
	before, after = shown(before, d.before), shown(after, d.after)
	if !referred || !refers(before) || !refers(after) || before.BackRef || after.BackRef {
		d.compare(path, before, after)
		return
	}
	switch d.left--; {
	case d.compared[pair{placeOf(before), placeOf(after)}]:
	case d.left >= 0 && d.hops < maxHops:
		d.later = append(d.later, comparison{path, before, after, d.hops + 1})
	case !slices.Equal(d.hashes.all([]*value.Value{before}, d.before), d.hashes.all([]*value.Value{after}, d.after)):
		d.Unknown++
	}
}

// compare compares two values that are shown, or of which it is not known what they refer
// to.
func (d *differ) compare(path *paths.Path, before, after *value.Value) {
	if refers(before) && refers(after) {
		p := pair{placeOf(before), placeOf(after)}
		if d.compared[p] {
			return
		}
		d.compared[p] = true
	}
	switch {
	case before.Absent == inspect.Redacted && after.Absent == inspect.Redacted: // as the program's exclusions want
	case before.Absent != "" || after.Absent != "":
		d.Unknown++
	case before.Shape == value.Interface && after.Shape == value.Interface && before.Elem.Type == after.Elem.Type,
		before.Shape == value.Pointer && after.Shape == value.Pointer && before.Elem != nil && after.Elem != nil:
		d.value(path, before.Elem, after.Elem)
	case before.Shape != after.Shape:
		d.change(path, Changed, before, after)
	case before.Shape == value.Struct && (len(before.Fields) > 0 || len(after.Fields) > 0):
		d.fields(path, before, after)
	case before.Shape == value.Map:
		d.entries(path, before, after)
	case before.Shape == value.List || before.Shape == value.Chan:
		d.elements(path, before, after)
	case !same(before, after):
		d.change(path, Changed, before, after)
	}
}

func (d *differ) change(path *paths.Path, kind Kind, before, after *value.Value) {
	if before != nil {
		before = shown(before, d.before)
	}
	if after != nil {
		after = shown(after, d.after)
	}
	d.Changes = append(d.Changes, Change{path.String(), kind, before, after})
}

// same compares values that have nothing below them.
func same(before, after *value.Value) bool {
	switch before.Shape {
	case value.Nil:
		return true
	case value.Func:
		return before.Func.Name == after.Func.Name && (before.Func.Name != "" || before.Func.Entry == after.Func.Entry)
	case value.Pointer, value.Interface: // its target is not known, or of another type
		return before.Shape == value.Pointer && before.Elem == nil && after.Elem == nil
	}
	return before.Text == after.Text && before.Omitted == after.Omitted && slices.Equal(before.State, after.State) && slices.Equal(lasting(before.Notes), lasting(after.Notes))
}

// lasting returns the notes on a value, without those on how it was read.
func lasting(notes []string) []string {
	return slices.DeleteFunc(slices.Clone(notes), value.IsTorn)
}

// fields compares structs, which may be of two versions of a program.
func (d *differ) fields(path *paths.Path, before, after *value.Value) {
	later := map[string]*value.Value{}
	for _, f := range after.Fields {
		later[f.Name] = f.Value
	}
	for _, f := range before.Fields {
		other := later[f.Name]
		delete(later, f.Name)
		if other == nil {
			d.change(path.Field(f.Name), Removed, f.Value, nil)
			continue
		}
		d.value(path.Field(f.Name), f.Value, other)
	}
	for _, f := range after.Fields {
		if later[f.Name] != nil {
			d.change(path.Field(f.Name), Added, nil, f.Value)
		}
	}
}

// entries compares maps by their keys. Some entries may have equal keys: NaN, and pointers
// to equal values.
func (d *differ) entries(path *paths.Path, before, after *value.Value) {
	if before.Omitted > 0 || after.Omitted > 0 {
		d.Unknown++
	}
	later := map[string][]value.Entry{}
	for _, e := range after.Entries {
		key := e.KeyIdentity()
		later[key] = append(later[key], e)
	}
	earlier, keys := map[string][]value.Entry{}, []string(nil)
	for _, e := range before.Entries {
		key := e.KeyIdentity()
		if earlier[key] == nil {
			keys = append(keys, key)
		}
		earlier[key] = append(earlier[key], e)
	}
	added := map[string][]value.Entry{}
	for _, key := range keys {
		added[key] = d.sameKey(path, earlier[key], later[key])
	}
	for _, e := range after.Entries {
		key := e.KeyIdentity()
		if len(earlier[key]) == 0 {
			d.change(path.Entry(e), Added, nil, e.Value)
			continue
		}
		for _, e := range added[key] {
			d.change(path.Entry(e), Added, nil, e.Value)
		}
		delete(added, key)
	}
}

// sameKey compares entries with equal keys: those with equal values are the same entries,
// the others are in their order. It returns the entries that are added.
func (d *differ) sameKey(path *paths.Path, before, after []value.Entry) (added []value.Entry) {
	if len(before) > 1 || len(after) > 1 {
		before, after = d.pairEqual(path, before, after)
	}
	n := min(len(before), len(after))
	for i := range n {
		d.value(path.Entry(after[i]), before[i].Value, after[i].Value)
	}
	for _, e := range before[n:] {
		d.change(path.Entry(e), Removed, e.Value, nil)
	}
	return after[n:]
}

// pairEqual compares the entries that have equal values, and returns the others.
func (d *differ) pairEqual(path *paths.Path, before, after []value.Entry) (earlier, later []value.Entry) {
	values := func(entries []value.Entry) (list []*value.Value) {
		for _, e := range entries {
			list = append(list, e.Value)
		}
		return list
	}
	places := map[uint64][]int{}
	for i, sum := range d.hashes.all(values(after), d.after) {
		places[sum] = append(places[sum], i)
	}
	paired := make([]bool, len(after))
	for i, sum := range d.hashes.all(values(before), d.before) {
		same := places[sum]
		if len(same) == 0 {
			earlier = append(earlier, before[i])
			continue
		}
		places[sum] = same[1:]
		paired[same[0]] = true
		// The hash is of the first values below them.
		d.value(path.Entry(after[same[0]]), before[i].Value, after[same[0]].Value)
	}
	for i, e := range after {
		if !paired[i] {
			later = append(later, e)
		}
	}
	return earlier, later
}

// elements compares lists: elements that are in both, in the same order, are the same
// elements at other indexes. The paths are those of the later list, of a removed element
// those of the earlier one.
func (d *differ) elements(path *paths.Path, before, after *value.Value) {
	if before.Omitted > 0 || after.Omitted > 0 {
		d.Unknown++
	}
	at := path.Elem
	if len(before.Elems) == len(after.Elems) && before.Shape == value.List && isArray(before) {
		for i := range before.Elems {
			d.value(at(i), before.Elems[i], after.Elems[i])
		}
		return
	}
	for _, e := range edits(d.hashes.all(before.Elems, d.before), d.hashes.all(after.Elems, d.after)) {
		n := min(e.oldEnd-e.oldStart, e.newEnd-e.newStart)
		for i := range n { // in the place of each other
			d.value(at(e.newStart+i), before.Elems[e.oldStart+i], after.Elems[e.newStart+i])
		}
		for i := e.oldStart + n; i < e.oldEnd; i++ {
			d.change(at(i), Removed, before.Elems[i], nil)
		}
		for i := e.newStart + n; i < e.newEnd; i++ {
			d.change(at(i), Added, nil, after.Elems[i])
		}
	}
}

// isArray reports whether a list has a fixed number of elements.
func isArray(v *value.Value) bool {
	return len(v.Type) > 1 && v.Type[0] == '[' && v.Type[1] != ']'
}
