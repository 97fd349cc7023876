package random

import (
	"fmt"
	"strings"
)

// A hideout is a type whose values are secrets, and such a value; every % is the
// number of another secret. What it holds is as deep as an exclusion reaches.
type hideout struct {
	src, value string
	comparable bool // and fit for a map's key
	shared     bool // a copy of it leads to the same secrets
}

// No other value has the key of theirs: memory that an excluded value refers to
// is redacted everywhere, including strings that the compiler shares.
var hideouts = []hideout{
	{"string", "secretText(%)", true, true},
	{"[]byte", "secret(%)", false, true},
	{"[]byte", "append(secret(%), secret(%)...)[:4]", false, true},
	{"[8]byte", "secretArray(%)", true, false},
	{"uint64", "secretWord(%)", true, false},
	{"*[8]byte", "ptr(secretArray(%))", true, true},
	{"[]string", "[]string{secretText(%), secretText(%)}", false, true},
	{"[][]byte", "[][]byte{secret(%)}", false, true},
	{"[3]string", "[3]string{2: secretText(%)}", true, true},
	{"map[string][8]byte", `map[string][8]byte{"sealed": secretArray(%)}`, false, true},
	{"map[[8]byte]int", "map[[8]byte]int{secretArray(%): 1}", false, true},
	{"map[string]string", "map[string]string{secretText(%): secretText(%)}", false, true},
	{"map[int][200]byte", "map[int][200]byte{1: secretLarge(%)}", false, true},
	{"map[[200]byte]int8", "map[[200]byte]int8{secretLarge(%): 1}", false, true},
	{"map[string]*[8]byte", `map[string]*[8]byte{"sealed": ptr(secretArray(%))}`, false, true},
	{"map[int]string", `filled(0, 100, 0, func(i int) int { return i }, func(i int) string { return secretText(%) })`, false, true},
	{"any", "any(secretText(%))", true, true},
	{"any", "any(secretArray(%))", true, true},
	{"any", "any(ptr(secretArray(%)))", true, true},
	{"any", "any(map[int]string{1: secretText(%)})", false, true},
	{"Thing", "Thing(Loud(secretText(%)))", true, true},
	{"error", "errors.New(secretText(%))", true, true},
	{"chan [8]byte", "channel(3, 2, false, 0, secretArray(%), secretArray(%))", true, true},
	{"chan string", "channel(1, 0, false, 0, secretText(%), secretText(%), secretText(%))", true, true},
	{"struct { A string; B *[8]byte; C [8]byte }", "struct { A string; B *[8]byte; C [8]byte }{secretText(%), ptr(secretArray(%)), secretArray(%)}", true, false},
	{"*struct { A string; B [8]byte }", "ptr(struct { A string; B [8]byte }{secretText(%), secretArray(%)})", true, true},
	{"[]struct { A string }", "[]struct { A string }{{secretText(%)}}", false, true},
	{"sync.Map", `syncMap("sealed", secretText(%), secretText(%), 1)`, false, false},
	{"atomic.Pointer[[8]byte]", "atomicTo(ptr(secretArray(%)))", false, true},
	{"weak.Pointer[[8]byte]", "weakTo(ptr(secretArray(%)), false)", true, true},
	{"unsafe.Pointer", "secretPage(%)", true, true},
	{"func()", "closure(secretText(%))", false, true},
}

// secretValue is a value with secrets of its own.
func (g *generator) secretValue(h hideout) string {
	parts := strings.Split(h.value, "%")
	var b strings.Builder
	for i, part := range parts {
		b.WriteString(part)
		if i < len(parts)-1 {
			fmt.Fprint(&b, g.p.Secrets)
			g.p.Secrets++
		}
	}
	return b.String()
}

// hiddenType is the type of something that is excluded.
func (g *generator) hiddenType() (*typ, hideout) {
	h := oneOf(g, hideouts...)
	return &typ{src: h.src, kind: library, comparable: h.comparable, make: func(int) string { return g.secretValue(h) }}, h
}

const here = `Package: "kinds"`

func (g *generator) rule(format string, args ...any) {
	g.p.Rules = append(g.p.Rules, fmt.Sprintf(format, args...)+", "+here)
}

// secretTypes declares types that are excluded whole.
func (g *generator) secretTypes() {
	for i := range 1 + g.IntN(3) {
		t, h := g.hiddenType()
		name := fmt.Sprintf("Hidden%d", i)
		if h.src == "sync.Map" || strings.Contains(h.src, "Pointer[") { // their names are what they are known by
			h = hideouts[0]
		}
		g.p.Decls = append(g.p.Decls, fmt.Sprintf("type %s %s", name, h.src))
		t.src, t.hidden, t.comparable = name, true, h.comparable
		t.loose = h.src == "any" || h.src == "Thing" || h.src == "error"
		t.make = func(int) string { return fmt.Sprintf("(%s)(%s)", name, g.secretValue(h)) }
		g.secrets = append(g.secrets, t)
		g.p.Hidden = append(g.p.Hidden, name)
		g.rule("Kind: meminspectimpl.ExcludeType, Var: (*%s)(nil), Type: %q", name, name)
	}
	g.p.Hidden = append(g.p.Hidden, "Sealed", "Guard.Inner")
	g.rule("Kind: meminspectimpl.ExcludeGenericType, Type: %q", "Sealed")
	g.rule("Kind: meminspectimpl.ExcludeGenericField, Type: %q, Field: %q", "Guard", "Inner")
}

// hiddenField adds an excluded field to a type that is being declared.
func (g *generator) hiddenField(t *typ) {
	f := field{name: "Secret", hidden: true}
	f.typ, _ = g.hiddenType()
	t.comparable = t.comparable && f.typ.comparable
	i := g.IntN(len(t.fields) + 1)
	t.fields = append(t.fields[:i:i], append([]field{f}, t.fields[i:]...)...)
	g.p.Hidden = append(g.p.Hidden, t.src+".Secret")
	g.rule("Kind: meminspectimpl.ExcludeField, Var: (*%s)(nil), Offset: uint64(unsafe.Offsetof(%[1]s{}.Secret)), Size: uint64(unsafe.Sizeof(%[1]s{}.Secret)), Type: %[1]q, Field: %q", t.src, "Secret")
}

// secretGeneric is an instance of a generic type that is excluded, or that has a
// field which is.
func (g *generator) secretGeneric(number *typ) *typ {
	h, hide := g.hiddenType()
	if g.chance(50) {
		name := "Sealed[" + h.src + "]"
		return &typ{src: name, kind: library, hidden: true, comparable: h.comparable,
			make: func(int) string { return fmt.Sprintf("%s{Value: %s}", name, g.secretValue(hide)) }}
	}
	return &typ{src: "Guard[" + h.src + "]", kind: structure, comparable: h.comparable,
		fields: []field{{name: "Open", typ: number}, {name: "Inner", typ: h, hidden: true}}}
}

// secretVars adds variables that are excluded, some of them annotated all the
// same, and others that lead to what they hold.
func (g *generator) secretVars() {
	for range g.IntN(4) {
		_, h := g.hiddenType()
		v := &Var{Name: fmt.Sprintf("v%d", len(g.p.Vars)), Type: h.src, Value: g.secretValue(h), Hidden: true}
		g.p.Vars = append(g.p.Vars, v)
		g.rule("Kind: meminspectimpl.ExcludeVariable, Var: &%s", v.Name)
		if g.chance(50) {
			g.p.Entries = append(g.p.Entries, Entry{Expr: v.Name, Depth: -1})
		}
		if !h.shared {
			continue
		}
		alias := &Var{Name: fmt.Sprintf("v%d", len(g.p.Vars)), Type: h.src, Value: v.Name}
		if g.chance(30) {
			alias.Type = "any"
		}
		g.p.Vars = append(g.p.Vars, alias)
		g.p.Entries = append(g.p.Entries, Entry{Expr: alias.Name, Depth: -1, Alias: true})
	}
}
