// Package random makes up Go programs for the tests of all that reads programs
// from outside: variables of random types with random values, some of them
// excluded, followed to random depths and under random budgets. A seed gives
// one program, always the same.
package random

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/format"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"text/template"
)

// A Program is what a seed gives.
type Program struct {
	Seed    uint64
	Vars    []*Var
	Entries []Entry
	Decls   []string // of types
	Hidden  []string // types and fields that are excluded, as the program names them
	Rules   []string // the exclusions, as the table has them
	Secrets int      // how many there are
}

// A Var is a package variable.
type Var struct {
	Name, Type, Value string
	Static            bool // Value is its initializer
	Hidden            bool // it is excluded
}

// An Entry is one of the table.
type Entry struct {
	Expr   string
	Size   uint64 // of an area, else 0
	Depth  int    // -1: as the capture sets
	Budget uint64
	Member bool
	// Alias reports that it leads to what an excluded variable holds.
	Alias bool
}

//go:embed made.go.tmpl
var madeText string

var made = template.Must(template.New("made.go").Parse(madeText))

// Source is the folder of what all programs have in common.
func Source() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "testdata", "program")
}

// Make makes up the program of a seed.
func Make(seed uint64) *Program {
	for try := uint64(0); ; try++ {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x6d696e+try)), p: &Program{Seed: seed}, places: map[string][]string{}}
		g.program()
		if !slices.ContainsFunc(g.sent, func(t *typ) bool { return t.size() > maxSent }) {
			return g.p
		}
	}
}

// maxSent is how many bytes the elements of a channel have at the most: the
// compiler refuses larger ones.
const maxSent = 1 << 16

// Write writes the program's source into dir.
func (p *Program) Write(dir string) error {
	var b bytes.Buffer
	if err := made.Execute(&b, p); err != nil {
		return fmt.Errorf("writing program %d: %w", p.Seed, err)
	}
	text, err := format.Source(b.Bytes())
	if err != nil {
		return fmt.Errorf("program %d: %w\n%s", p.Seed, err, b.Bytes())
	}
	if err := os.CopyFS(dir, os.DirFS(Source())); err != nil {
		return fmt.Errorf("writing program %d: %w", p.Seed, err)
	}
	return os.WriteFile(filepath.Join(dir, "made.go"), text, 0o600)
}

// program makes up the types, then the variables, then what they hold: any may
// point into any other.
func (g *generator) program() {
	exclude := g.chance(40)
	if exclude {
		g.secretTypes()
	}
	for range 4 + g.IntN(6) {
		g.namedType()
	}
	var types []*typ
	for range 25 + g.IntN(15) {
		t := g.typ(3)
		v := &Var{Name: fmt.Sprintf("v%d", len(g.p.Vars)), Type: t.src, Static: g.chance(20)}
		g.p.Vars, types = append(g.p.Vars, v), append(types, t)
		g.place(v.Name, t, 3)
	}
	for i, v := range g.p.Vars {
		g.left, g.static = 300, v.Static
		v.Value = g.value(types[i], 5)
		if !g.chance(10) { // the others are there to be pointed at
			g.entries(v.Name, types[i])
		}
	}
	if exclude {
		g.secretVars()
	}
}

// entries annotates a variable, and a part of it.
func (g *generator) entries(name string, t *typ) {
	e := Entry{Expr: name, Depth: -1}
	switch g.IntN(10) {
	case 0, 1:
		e.Depth = g.IntN(4)
	case 2:
		e.Budget = 1 + uint64(g.IntN(1<<g.IntN(13)))
	}
	if t.kind == array && g.chance(30) && t.length > 0 {
		e.Size = 1 + uint64(g.IntN(t.length))
	}
	g.p.Entries = append(g.p.Entries, e)
	if t.kind == structure && len(t.fields) > 0 && g.chance(15) {
		if f := t.fields[g.IntN(len(t.fields))]; f.name != "_" && !f.hidden && !t.hidden {
			g.p.Entries = append(g.p.Entries, Entry{Expr: name + "." + f.name, Depth: -1, Member: true})
		}
	}
}
