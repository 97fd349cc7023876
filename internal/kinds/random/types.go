package random

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A typ is a type of the program.
type typ struct {
	src        string // as the program writes it
	under      string // what it is underneath, when it has a name
	kind       kind
	elem, key  *typ
	fields     []field
	length     int
	comparable bool
	thing      string // as what it is a Thing: "T" or "*T", empty when it is none
	hidden     bool   // excluded
	loose      bool   // excluded and an interface: another interface does not know that it held it
	make       func(depth int) string
}

type field struct {
	name     string
	typ      *typ
	embedded bool
	hidden   bool // excluded
}

type kind uint8

const (
	boolean kind = iota
	integer
	float
	complexNumber
	text
	address // uintptr
	unsafePointer
	array
	slice
	pointer
	structure
	mapping
	channel
	function
	iface
	library // of the standard library, and of what makes its values itself
)

type generator struct {
	*rand.Rand
	p       *Program
	named   []*typ
	secrets []*typ              // excluded types
	places  map[string][]string // by type: variables, and parts of them
	left    int                 // values that one variable may still have
	nested  int                 // maps that the value is for
	static  bool                // no value may refer to a variable
	sent    []*typ              // the elements of channels
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func oneOf[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

// base is what the type is underneath.
func (t *typ) base() string { return cmp.Or(t.under, t.src) }

func (g *generator) scalar() *typ {
	if g.chance(25) {
		return &typ{src: "string", kind: text, comparable: true}
	}
	src := oneOf(g, "bool", "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "uintptr",
		"float32", "float64", "complex64", "complex128", "byte", "rune", "unsafe.Pointer")
	t := &typ{src: src, kind: integer, comparable: true}
	switch src {
	case "bool":
		t.kind = boolean
	case "uintptr":
		t.kind = address
	case "float32", "float64":
		t.kind = float
	case "complex64", "complex128":
		t.kind = complexNumber
	case "unsafe.Pointer":
		t.kind = unsafePointer
	}
	return t
}

// typ makes up a type of some depth.
func (g *generator) typ(depth int) *typ {
	if len(g.secrets) > 0 && g.chance(6) {
		return oneOf(g, g.secrets...)
	}
	if t := g.anyNamed(func(t *typ) bool { return t.make == nil && t.complete() }); t != nil && g.chance(25) {
		return t
	}
	if depth <= 0 || g.chance(20) {
		return g.scalar()
	}
	switch g.IntN(14) {
	case 0, 1:
		return g.arrayType(depth)
	case 2, 3:
		e := g.target(depth)
		return &typ{src: "[]" + e.src, kind: slice, elem: e}
	case 4, 5:
		e := g.target(depth)
		return &typ{src: "*" + e.src, kind: pointer, elem: e, comparable: true}
	case 6, 7:
		return g.structType(depth)
	case 8, 9:
		k, e := g.keyType(depth-1), g.target(depth)
		return &typ{src: "map[" + k.src + "]" + e.src, kind: mapping, key: k, elem: e}
	case 10:
		e := g.target(depth)
		g.sent = append(g.sent, e)
		return &typ{src: "chan " + parens(e.src), kind: channel, elem: e, comparable: true}
	case 11:
		return &typ{src: oneOf(g, "func()", "func(int) int"), kind: function}
	case 12:
		return &typ{src: oneOf(g, "any", "any", "Thing", "error"), kind: iface, comparable: true}
	}
	if g.chance(50) {
		return g.generic(depth)
	}
	return g.libraryType(depth)
}

// size is how many bytes a value takes, at least nearly.
func (t *typ) size() int {
	switch t.kind {
	case array:
		return t.length * t.elem.size()
	case structure:
		n := 0
		for _, f := range t.fields {
			n += f.typ.size()
		}
		return n
	case boolean:
		return 1
	case integer:
		switch t.base() {
		case "int8", "uint8", "byte":
			return 1
		case "int16", "uint16":
			return 2
		case "int32", "uint32", "rune":
			return 4
		}
	case text, slice, iface, complexNumber:
		return 16
	}
	return 8
}

// parens keeps "chan <-chan T" and "chan (func())" what they are.
func parens(src string) string {
	if strings.HasPrefix(src, "<-") || strings.HasPrefix(src, "func") {
		return "(" + src + ")"
	}
	return src
}

// target generates the type of a pointer's target: an incomplete type is
// allowed there.
func (g *generator) target(depth int) *typ {
	if t := g.anyNamed(func(t *typ) bool { return !t.complete() }); t != nil && g.chance(50) {
		return t
	}
	return g.typ(depth - 1)
}

func (t *typ) complete() bool { return t.kind != structure || t.fields != nil }

func (g *generator) anyNamed(ok func(*typ) bool) *typ {
	var list []*typ
	for _, t := range g.named {
		if ok(t) {
			list = append(list, t)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return oneOf(g, list...)
}

// keyType makes up a type that a map's keys may have.
func (g *generator) keyType(depth int) *typ {
	for range 20 {
		t := g.typ(depth)
		if t.comparable && t.kind != library && t.src != "error" {
			return t
		}
	}
	return &typ{src: "string", kind: text, comparable: true}
}

func (g *generator) arrayType(depth int) *typ {
	e := g.typ(depth - 1)
	n := oneOf(g, 0, 1, 1, 2, 3, 5, 17)
	if e.kind == integer && g.chance(25) {
		n = 1000 + g.IntN(30000)
	}
	return &typ{src: fmt.Sprintf("[%d]%s", n, e.src), kind: array, elem: e, length: n, comparable: e.comparable}
}

// structType makes up a struct: with padding, blank fields, embedded structs, and
// parts of no size, also at its end.
func (g *generator) structType(depth int) *typ {
	t := &typ{kind: structure, comparable: true, fields: []field{}}
	g.fieldsOf(t, depth)
	t.src = t.literal()
	return t
}

func (t *typ) literal() string {
	var b strings.Builder
	b.WriteString("struct {\n")
	for _, f := range t.fields {
		if !f.embedded {
			b.WriteString(f.name + " ")
		}
		b.WriteString(f.typ.src + "\n")
	}
	return b.String() + "}"
}

// In how many fields of a hundred there is no name, nothing, or a named type.
const blank, empty, embedded = 5, 5, 10

func (g *generator) fieldsOf(t *typ, depth int) {
	var fields []field
	used := map[string]bool{}
	for i := range g.IntN(7) {
		f := field{name: fmt.Sprintf("%c%d", oneOf(g, 'F', 'f'), i)}
		switch {
		case g.chance(blank):
			f.name, f.typ = "_", oneOf(g, g.scalar(), &typ{src: "[3]byte", comparable: true})
		case g.chance(empty):
			f.typ = &typ{src: "struct{}", kind: structure, comparable: true, fields: []field{}}
		case g.chance(embedded):
			f.typ = g.anyNamed(func(o *typ) bool {
				return o.complete() && o.kind == structure && o != t && o.make == nil && !used[o.src]
			})
			if f.typ != nil {
				f.name, f.embedded = f.typ.src, true
				used[f.name] = true
			}
		}
		if f.typ == nil {
			f.typ = g.typ(depth - 1)
		}
		t.comparable = t.comparable && f.typ.comparable
		fields = append(fields, f)
	}
	t.fields = append([]field{}, fields...)
}

// namedType declares a type.
func (g *generator) namedType() {
	t := &typ{src: fmt.Sprintf("T%d", len(g.named)), kind: structure, comparable: true}
	decl := ""
	switch {
	case g.chance(60):
		g.named = append(g.named, t) // it may hold pointers to itself
		g.fieldsOf(t, 3)
		if len(g.secrets) > 0 && g.chance(50) {
			g.hiddenField(t)
		}
		decl = t.literal()
	case g.chance(20): // it holds itself
		g.named = append(g.named, t)
		t.kind, t.elem, t.key, t.comparable = oneOf(g, slice, mapping, channel, function), t, &typ{src: "string", kind: text, comparable: true}, false
		decl = map[kind]string{slice: "[]", mapping: "map[string]", channel: "chan ", function: "func(int) "}[t.kind] + t.src
	default:
		under := g.typ(2)
		if under.kind == library || under.hidden || under.hides() || strings.HasPrefix(under.src, "Guard") {
			under = g.scalar()
		}
		name := t.src
		*t = *under
		decl, t.src, t.under, t.thing = under.src, name, under.base(), ""
		g.named = append(g.named, t)
	}
	g.p.Decls = append(g.p.Decls, "type "+t.src+" "+decl)
	if t.kind != pointer && t.kind != iface && t.kind != unsafePointer && g.chance(40) && !t.embeds() {
		t.thing = oneOf(g, t.src, "*"+t.src)
		g.p.Decls = append(g.p.Decls, fmt.Sprintf("func (%s) Area() float64 { return 1 }", t.thing))
	}
}

// hides reports whether a struct has an excluded field: a type that is declared
// from it is another type, and excludes nothing.
func (t *typ) hides() bool {
	return slices.ContainsFunc(t.fields, func(f field) bool { return f.hidden })
}

// embeds reports whether a struct has methods of another one.
func (t *typ) embeds() bool {
	for _, f := range t.fields {
		if f.embedded {
			return true
		}
	}
	return false
}

// generic makes up an instance of a generic type.
func (g *generator) generic(depth int) *typ {
	number := &typ{src: "int32", kind: integer, comparable: true}
	e := g.typ(depth - 1)
	switch g.IntN(3) {
	case 0:
		t := &typ{src: "Box[" + e.src + "]", kind: structure}
		t.fields = []field{{name: "Label", typ: &typ{src: "string", kind: text}}, {name: "Inner", typ: e},
			{name: "More", typ: &typ{src: "[]" + e.src, kind: slice, elem: e}}, {name: "To", typ: &typ{src: "*" + e.src, kind: pointer, elem: e}}}
		return t
	case 1:
		k := g.keyType(depth - 1)
		return &typ{src: "Pair[" + k.src + ", " + e.src + "]", kind: structure, comparable: e.comparable,
			fields: []field{{name: "Key", typ: k}, {name: "Val", typ: e}}}
	}
	if len(g.secrets) > 0 && g.chance(50) {
		return g.secretGeneric(number)
	}
	t := &typ{src: "Tree[" + e.src + "]", kind: structure, comparable: e.comparable}
	branch := &typ{src: "*" + t.src, kind: pointer, elem: t, comparable: true}
	t.fields = []field{{name: "Left", typ: branch}, {name: "Right", typ: branch}, {name: "Value", typ: e}}
	return t
}

// place notes what a pointer to a type may point at within a variable.
func (g *generator) place(path string, t *typ, depth int) {
	if t.hidden {
		return
	}
	g.places[t.src] = append(g.places[t.src], path)
	if depth == 0 {
		return
	}
	switch {
	case t.kind == structure:
		for _, f := range t.fields {
			if f.name != "_" && !f.hidden {
				g.place(path+"."+f.name, f.typ, depth-1)
			}
		}
	case t.kind == array && t.length > 0:
		g.place(fmt.Sprintf("%s[%d]", path, g.IntN(t.length)), t.elem, depth-1)
	}
}
