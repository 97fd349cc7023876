package random

import (
	"fmt"
	"math"
	"strings"
)

// value is an expression of type t. Below depth 0 there are no more pointers.
func (g *generator) value(t *typ, depth int) string {
	g.left--
	switch {
	case t.make != nil:
		return t.make(depth)
	case t.kind == array || t.kind == structure:
		return g.parts(t, depth)
	case t.kind <= unsafePointer:
		return fmt.Sprintf("(%s)(%s)", t.src, g.scalarValue(t))
	case depth <= 0 || g.left < 0 || g.chance(8):
		return fmt.Sprintf("(%s)(nil)", t.src)
	}
	switch t.kind {
	case slice:
		return fmt.Sprintf("(%s)(%s)", t.src, g.sliceValue(t, depth))
	case pointer:
		return fmt.Sprintf("(%s)(%s)", t.src, g.pointerValue(t, depth))
	case mapping:
		return fmt.Sprintf("(%s)(%s)", t.src, g.mapValue(t, depth))
	case channel:
		return fmt.Sprintf("(%s)(%s)", t.src, g.channelValue(t, depth))
	case function:
		return fmt.Sprintf("(%s)(%s)", t.src, g.functionValue(t, depth))
	}
	return fmt.Sprintf("(%s)(%s)", t.src, g.interfaceValue(t, depth))
}

func (g *generator) scalarValue(t *typ) string {
	switch t.kind {
	case boolean:
		return oneOf(g, "true", "false")
	case text:
		return g.textValue()
	case address: // one that looks like a pointer too
		if place := g.anyPlace(); place != "" {
			return fmt.Sprintf("uintptr(unsafe.Pointer(&%s))", place)
		}
		return fmt.Sprint(g.Uint64() >> g.IntN(64))
	case unsafePointer:
		if place := g.anyPlace(); place != "" {
			return fmt.Sprintf("unsafe.Pointer(&%s)", place)
		}
		return "nil"
	case float:
		return g.floatValue()
	case complexNumber:
		if t.base() == "complex64" {
			return "complex(1.5, -2)"
		}
		return fmt.Sprintf("complex(%s, %s)", g.floatValue(), g.floatValue())
	}
	return fmt.Sprint(g.IntN(128))
}

func (g *generator) floatValue() string {
	return oneOf(g, "0", "1.5", "-2.25", "math.NaN()", "math.Inf(1)", "math.Inf(-1)", "math.Copysign(0, -1)", "math.SmallestNonzeroFloat64", "math.Pi")
}

func (g *generator) textValue() string {
	s := oneOf(g, "", "a", "ab\x00\xff", "日本語", "line\n\"two\"", strings.Repeat("long ", 1+g.IntN(20)))
	switch n := g.IntN(5); {
	case n == 4 && !g.static:
		return fmt.Sprintf("strings.Repeat(%q, %d)", "x", g.IntN(6000))
	case n == 0:
		return fmt.Sprintf("heap(%q)", s)
	case n == 1 && len(s) > 2:
		return fmt.Sprintf("middle(%q, 1, %d)", s, 1+g.IntN(len(s)-1))
	}
	return fmt.Sprintf("%q", s)
}

// anyPlace is a variable or a part of one.
func (g *generator) anyPlace() string {
	if g.static || g.chance(30) {
		return ""
	}
	v := oneOf(g, g.p.Vars...)
	return v.Name
}

// placeOf returns the place of a value of type t.
func (g *generator) placeOf(t *typ) string {
	if places := g.places[t.src]; len(places) > 0 && !g.static {
		return oneOf(g, places...)
	}
	return ""
}

// parts generates an inline value.
func (g *generator) parts(t *typ, depth int) string {
	var list []string
	if t.kind == array {
		for i := range min(t.length, 17) {
			if t.length > 17 {
				i *= t.length / 17
			}
			list = append(list, fmt.Sprintf("%d: %s", i, g.value(t.elem, depth)))
		}
	}
	for _, f := range t.fields {
		if f.name != "_" && g.chance(90) {
			name, _, _ := strings.Cut(f.name, "[")
			list = append(list, name+": "+g.value(f.typ, depth))
		}
	}
	return t.src + "{" + strings.Join(list, ", ") + "}"
}

// some are values for the arguments of a function.
func (g *generator) some(t *typ, n, depth int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = g.value(t, depth)
	}
	return strings.Join(list, ", ")
}

func (g *generator) sliceValue(t *typ, depth int) string {
	e, n := t.elem.src, g.IntN(5)
	switch g.IntN(6) {
	case 0:
		return fmt.Sprintf("[]%s{}", e)
	case 1:
		return fmt.Sprintf("spare[%s](%s)", e, strings.TrimSuffix(fmt.Sprintf("%d, %s", g.IntN(40), g.some(t.elem, n, depth-1)), ", "))
	case 2:
		return fmt.Sprintf("part[%s](1, %d, %s)", e, n+1, g.some(t.elem, n+2, depth-1))
	case 3:
		if g.nested == 0 && t.elem.kind == integer || t.elem.kind == text {
			return fmt.Sprintf("many(%d, func(i int) %s { return %s })", 1+g.IntN(1<<g.IntN(14)), e, g.keyed(t.elem, 0))
		}
	case 4:
		for _, size := range []int{2, 3, 5, 17} {
			if place := g.placeOf(&typ{src: fmt.Sprintf("[%d]%s", size, e)}); place != "" {
				return fmt.Sprintf("%s[%d:%d]", place, g.IntN(2), 1+g.IntN(size))
			}
		}
	}
	return fmt.Sprintf("[]%s{%s}", e, g.some(t.elem, n, depth-1))
}

func (g *generator) pointerValue(t *typ, depth int) string {
	if place := g.placeOf(t.elem); place != "" && g.chance(45) {
		return "&" + place
	}
	if g.chance(15) {
		n := 2 + g.IntN(4)
		return fmt.Sprintf("at[%s](%d, %s)", t.elem.src, g.IntN(n), g.some(t.elem, n, depth-1))
	}
	return fmt.Sprintf("ptr[%s](%s)", t.elem.src, g.value(t.elem, depth-1))
}

// mapValue makes maps of each size that is a step in their growth.
func (g *generator) mapValue(t *typ, depth int) string {
	n := oneOf(g, 0, 1, 3, 7, 8, 9, 14, 15, 60, 200)
	if g.chance(5) {
		n = 900 + g.IntN(3000)
	}
	g.nested++
	elem := g.value(t.elem, depth-1)
	g.nested--
	if len(elem) > 60 || g.nested > 0 { // many of that are too many
		n = min(n, 9>>g.nested)
	}
	return fmt.Sprintf("filled[%s, %s](%d, %d, %d, func(i int) %s { return %s }, func(i int) %s { return %s })", t.key.src, t.elem.src,
		oneOf(g, 0, 0, 8, 100), n, oneOf(g, 0, 0, 0, 2, 3), t.key.src, g.keyed(t.key, depth-1), t.elem.src, elem)
}

// keyed is an expression for a map's key, in i.
func (g *generator) keyed(t *typ, depth int) string {
	e := "i"
	switch t.kind {
	case boolean:
		e = "i%2 == 0"
	case float:
		e = "half(i)"
	case complexNumber:
		e = "complex(float64(i), half(i))"
		if t.base() != "complex128" {
			e = "complex(float32(i), 1)"
		}
	case text:
		e = `fmt.Sprint("key ", i)`
	case unsafePointer:
		e = "unsafe.Pointer(ptr(i))"
	case pointer:
		e = fmt.Sprintf("ptr[%s](%s)", t.elem.src, g.value(t.elem, 0))
	case channel:
		e = fmt.Sprintf("make(chan %s, 1)", parens(t.elem.src))
	case iface:
		switch t.base() {
		case "any":
			e = `[]any{i, fmt.Sprint("key ", i), half(i), [2]int{i, -i}, Handle{}, byte(i), nil}[i%7]`
		case "Thing":
			e = "[]Thing{Word(i), Loud(fmt.Sprint(i)), Handle{}}[i%3]"
		default:
			e = "errors.New(fmt.Sprint(i))"
		}
	case array, structure:
		if t.make == nil {
			return g.keyedParts(t, depth)
		}
	}
	if t.make != nil {
		return t.make(depth)
	}
	return fmt.Sprintf("(%s)(%s)", t.src, e)
}

func (g *generator) keyedParts(t *typ, depth int) string {
	var list []string
	for i := range min(t.length, 3) {
		list = append(list, fmt.Sprintf("%d: %s", i, g.keyed(t.elem, depth)))
	}
	for _, f := range t.fields {
		if f.name != "_" {
			list = append(list, f.name+": "+g.keyed(f.typ, depth))
		}
	}
	return t.src + "{" + strings.Join(list, ", ") + "}"
}

func (g *generator) channelValue(t *typ, depth int) string {
	capacity := oneOf(g, 0, 1, 2, 5, 100)
	n := oneOf(g, 0, 0, 1, capacity, capacity+2)
	return strings.TrimSuffix(fmt.Sprintf("channel[%s](%d, %d, %v, %d, %s", t.elem.src, capacity, g.IntN(3), g.chance(15), g.IntN(3),
		g.some(t.elem, min(n, 8), depth-1)), ", ") + ")"
}

func (g *generator) functionValue(t *typ, depth int) string {
	if t.elem == t {
		return fmt.Sprintf("func(i int) %s { return nil }", t.src)
	}
	captured := g.scalar() // see docs/explanation/following.md
	value := g.value(captured, min(depth-1, 1))
	if captured.kind == text {
		value = "brief(" + value + ")"
	}
	args := fmt.Sprintf("[%s](%s)", captured.src, value)
	if t.base() == "func()" {
		return oneOf(g, "plain", "closure"+args, "closure"+args, "(&sync.Mutex{}).Unlock", "func() {}")
	}
	return oneOf(g, "double", "counter"+args, "func(i int) int { return -i }")
}

func (g *generator) interfaceValue(t *typ, depth int) string {
	switch t.base() {
	case "error":
		return oneOf(g, "io.EOF", `errors.New("new")`, `fmt.Errorf("wrapped: %w", io.ErrUnexpectedEOF)`, `errors.Join(io.EOF, errors.New("joined"))`, "context.Canceled")
	case "Thing":
		named := g.anyNamed(func(o *typ) bool { return o.thing != "" && o.complete() })
		switch {
		case named != nil && named.thing == named.src && g.chance(40):
			return g.value(named, depth-1)
		case named != nil && g.chance(60):
			return fmt.Sprintf("ptr[%s](%s)", named.src, g.value(named, depth-1))
		}
		return oneOf(g, "Word(11)", "Loud(\"loud\")", "Handle{ptr[int64](5)}", "(*Handle)(nil)", "Word(300)")
	}
	held := g.typ(2)
	value := g.boxed(held, depth-1)
	solid := held.kind != iface && held.kind != function
	switch g.IntN(9) {
	case 0:
		return fmt.Sprintf("structOf(%d, %s, %q)", g.IntN(100), g.solid(value, solid), "dynamic")
	case 1:
		return fmt.Sprintf("mapOf(%q, %s)", "key", g.solid(value, solid))
	case 2:
		return fmt.Sprintf("arrayOf(%d, %s)", 1+g.IntN(3), g.solid(value, solid))
	case 3:
		return fmt.Sprintf("pointerOf(%s)", g.solid(value, solid))
	}
	return value
}

// boxed is a value for an interface.
func (g *generator) boxed(t *typ, depth int) string {
	if value := g.value(t, depth); !t.loose {
		return value
	}
	return "int32(-1)"
}

// solid is a value that is no nil interface, for reflection.
func (g *generator) solid(value string, is bool) string {
	if is {
		return value
	}
	return fmt.Sprintf("int32(%d)", g.IntN(math.MaxInt16))
}

// libraryType is a type of the standard library.
func (g *generator) libraryType(depth int) *typ {
	e := g.typ(depth - 1)
	t := &typ{kind: library}
	whole := func(src, value string) {
		t.src, t.make = src, func(int) string { return value }
	}
	switch g.IntN(12) {
	case 0:
		whole("time.Time", oneOf(g, "time.Time{}", "time.Unix(1e9, 5).UTC()", `time.Date(2025, 7, 1, 8, 0, 0, 0, time.FixedZone("CEST", 7200))`, "time.Now()", "time.Unix(1, 0)"))
	case 1:
		whole("*big.Int", oneOf(g, "(*big.Int)(nil)", "big.NewInt(-7)", "new(big.Int).Exp(big.NewInt(7), big.NewInt(200), nil)", "new(big.Int)"))
	case 2:
		t.src, t.make = "sync.Map", func(depth int) string {
			return fmt.Sprintf("syncMap(%q, %s, 2, %s)", "k", g.boxed(e, depth-1), g.boxed(e, depth-1))
		}
	case 3:
		whole("atomic.Int64", "atomicInt(-5)")
	case 4:
		whole("atomic.Bool", "atomicBool(true)")
	case 5:
		t.src, t.make = "atomic.Value", func(depth int) string {
			return fmt.Sprintf("atomicValue(ptr[%s](%s))", e.src, g.value(e, depth-1))
		}
	case 6, 7:
		p := &typ{src: "*" + e.src, kind: pointer, elem: e}
		t.src, t.make = "atomic.Pointer["+e.src+"]", func(depth int) string { return fmt.Sprintf("atomicTo[%s](%s)", e.src, g.value(p, depth)) }
	case 8:
		held := &typ{src: "Pair[int, " + e.src + "]"} // of some size
		t.src, t.make = "weak.Pointer["+held.src+"]", func(depth int) string {
			return fmt.Sprintf("weakTo(ptr(%s{Key: 1, Val: %s}), %v)", held.src, g.value(e, depth-1), g.chance(30))
		}
	case 9:
		whole("bytes.Buffer", `*bytes.NewBufferString("buffer")`)
	case 10:
		whole("netip.Addr", oneOf(g, `netip.MustParseAddr("192.0.2.7")`, `netip.MustParseAddr("fe80::1%eth0")`, "netip.Addr{}"))
	default:
		whole("*list.List", "func() *list.List { l := list.New(); l.PushBack(1); l.PushBack(\"two\"); return l }()")
	}
	return t
}
