// Package paths visits the values of a core with the paths that lead to them from
// its regions. A path is an expression as `meminspect print` accepts it:
// main.sessions["ada"].Orders[3]. It names no pointer and no interface that it leads
// through.
package paths

import (
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Path leads to a value. It is valid as long as its Visit call, unless it is
// written with String.
type Path struct {
	from  *Path // nil for a region
	name  string
	index int
	entry value.Entry // its key is nil if it is no entry of a map
	value *value.Value
}

// Root returns the path of a region.
func Root(name string) *Path { return &Path{name: name} }

// Field returns the path of a field.
func (p *Path) Field(name string) *Path { return &Path{from: p, name: name} }

// Elem returns the path of an element.
func (p *Path) Elem(index int) *Path { return &Path{from: p, index: index} }

// Entry returns the path of an entry of a map.
func (p *Path) Entry(e value.Entry) *Path { return &Path{from: p, entry: e} }

// String writes the path.
func (p *Path) String() string {
	var b strings.Builder
	p.write(&b)
	return b.String()
}

func (p *Path) write(b *strings.Builder) {
	if p.from != nil {
		p.from.write(b)
	}
	switch {
	case p.from == nil:
		b.WriteString(p.name)
	case p.name != "":
		b.WriteString("." + p.name)
	case p.entry.Key != nil:
		b.WriteString("[" + p.entry.KeyText() + "]")
	default:
		b.WriteString("[" + strconv.Itoa(p.index) + "]")
	}
}

// Key returns the key of the map's entry to which the path leads, nil if it leads to
// another value.
func (p *Path) Key() *value.Value { return p.entry.Key }

// Enclosing returns the addresses of the structs that the value is a field of: the
// innermost first.
func (p *Path) Enclosing() (all []memory.Address) {
	for ; p.from != nil && p.name != "" && p.from.value.Shape == value.Struct; p = p.from {
		all = append(all, p.from.value.Addr)
	}
	return all
}

// A Visitor looks at a value to which a path leads. It reports whether to go on
// below the value.
type Visitor func(path *Path, v *value.Value) bool

// All visits the values of all regions of a program: the annotated ones and those that
// it registered, not those in which it describes itself. It ends when done, which may
// be nil, reports true.
func All(p *inspect.Program, limits value.Limits, visit Visitor, done func() bool) {
	for i := range p.Core.Regions {
		if done != nil && done() {
			return
		}
		if r := &p.Core.Regions[i]; r.ID == anchor.IDNone || r.ID >= anchor.FirstDynamic {
			Region(p, r, limits, visit)
		}
	}
}

// Region visits the values of a region, one at a time: a region may be larger than
// memory.
func Region(p *inspect.Program, r *note.Region, limits value.Limits, visit Visitor) {
	main := ""
	if c := p.Core.Capture; c != nil {
		main = c.Main
	}
	Value(value.ScanRegion(p, r, limits), value.Label(r, main), visit)
}

// Value visits a value that has a name, and the values below it.
func Value(v *value.Value, name string, visit Visitor) { visit.below(Root(name), v) }

func (visit Visitor) below(path *Path, v *value.Value) {
	path.value = v
	if !visit(path, v) {
		return
	}
	for f := range v.AllFields() {
		visit.below(path.Field(f.Name), f.Value)
	}
	for _, f := range v.Parts {
		visit.below(&Path{from: path, name: f.Name}, f.Value)
	}
	i := 0
	for e := range v.AllElems() {
		visit.below(path.Elem(i), e)
		i++
	}
	for e := range v.AllEntries() {
		visit.below(path.Entry(e), e.Value)
	}
	if v.Elem != nil {
		visit.below(path, v.Elem)
	}
}
