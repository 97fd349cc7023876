// Package diff compares two cores of a program: values by their types, and goroutines
// by their stacks.
package diff

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
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
	d := differ{compared: map[pair]bool{}}
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
		path, old := value.Label(r, mainOf(before)), value.Region(before, r, limits)
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
			d.change(value.Label(r, mainOf(after)), Added, nil, value.Region(after, r, limits))
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
func (d *differ) values(path string, before, after *value.Value) {
	d.before, d.after = index(before), index(after)
	d.value(path, before, after)
}

// A differ collects changes.
type differ struct {
	Result
	before, after map[place]*value.Value // what is referred to
	compared      map[pair]bool          // also by other paths
}

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

// value compares two values.
func (d *differ) value(path string, before, after *value.Value) {
	before, after = shown(before, d.before), shown(after, d.after)
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

func (d *differ) change(path string, kind Kind, before, after *value.Value) {
	if before != nil {
		before = shown(before, d.before)
	}
	if after != nil {
		after = shown(after, d.after)
	}
	d.Changes = append(d.Changes, Change{path, kind, before, after})
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
func (d *differ) fields(path string, before, after *value.Value) {
	later := map[string]*value.Value{}
	for _, f := range after.Fields {
		later[f.Name] = f.Value
	}
	for _, f := range before.Fields {
		other := later[f.Name]
		delete(later, f.Name)
		if other == nil {
			d.change(path+"."+f.Name, Removed, f.Value, nil)
			continue
		}
		d.value(path+"."+f.Name, f.Value, other)
	}
	for _, f := range after.Fields {
		if later[f.Name] != nil {
			d.change(path+"."+f.Name, Added, nil, f.Value)
		}
	}
}

// entries compares maps by their keys.
func (d *differ) entries(path string, before, after *value.Value) {
	if before.Omitted > 0 || after.Omitted > 0 {
		d.Unknown++
	}
	later := map[string]*value.Value{}
	for _, e := range after.Entries {
		later[e.Key.Go()] = e.Value
	}
	for _, e := range before.Entries {
		key := e.Key.Go()
		other := later[key]
		delete(later, key)
		if other == nil {
			d.change(path+"["+key+"]", Removed, e.Value, nil)
			continue
		}
		d.value(path+"["+key+"]", e.Value, other)
	}
	for _, e := range after.Entries {
		if key := e.Key.Go(); later[key] != nil {
			d.change(path+"["+key+"]", Added, nil, e.Value)
		}
	}
}

// elements compares lists: elements that are in both, in the same order, are the same
// elements at other indexes. The paths are those of the later list, of a removed element
// those of the earlier one.
func (d *differ) elements(path string, before, after *value.Value) {
	if before.Omitted > 0 || after.Omitted > 0 {
		d.Unknown++
	}
	at := func(i int) string { return path + "[" + strconv.Itoa(i) + "]" }
	if len(before.Elems) == len(after.Elems) && before.Shape == value.List && isArray(before) {
		for i := range before.Elems {
			d.value(at(i), before.Elems[i], after.Elems[i])
		}
		return
	}
	hashes := hasher{}
	for _, e := range edits(hashes.all(before.Elems, d.before), hashes.all(after.Elems, d.after)) {
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
