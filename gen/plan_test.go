package gen

import (
	"bytes"
	"context"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/folders"
	"github.com/meminspect/meminspect/internal/ledger"
)

// planFolder plans one folder without the go command.
func planFolder(dir string, names ...string) (*plan, error) {
	f, err := filesFolder(&Config{Dir: dir, Files: names, ImportPath: "example.com/p"}, &folders.Overlay{})
	if err != nil {
		return nil, err
	}
	p := newPlan(&folders.Overlay{}, f)
	p.finish(&folders.Overlay{})
	return p, nil
}

// For any source, the plan does not panic. Without findings all generated files
// are gofmt-formatted Go, and a second run changes nothing.
func FuzzPlan(f *testing.F) {
	for _, seed := range []string{
		"package p\n\n//meminspect:entry member=a[n].b name=X \"note=\\x00\\\"`\" depth=3\nvar v struct{ a [3]struct{ b int } }\n",
		"//go:build (a && !b) || c\n\npackage p\n\nimport \"C\"\n\n//meminspect:area size=8*unsafe.Sizeof(v)\nvar v, w = f()\n",
		"package p\n\n//meminspect:exclude\n//meminspect:layout\ntype T struct {\n\t//meminspect:exclude\n\tx int\n\t*p.E\n}\n",
		"package p\n\n//meminspect:number\nconst c = 1\n\n//meminspect:id Ünï\n",
		"package main\n\nimport u \"unsafe\"\n\n//meminspect:area size=-u.Sizeof(-(-x))\nvar meminspect, unsafe [9]int\n",
		"package p\n\n//meminspect:entry member=a[min(n,2)]\nvar v struct{ a [3]int }\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte(source), 0o666); err != nil {
			t.Fatal(err)
		}
		p, err := planFolder(dir, "a.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range p.pkg.findings {
			if finding.Code == "emit" {
				t.Fatal(finding)
			}
		}
		if p.pkg.broken() {
			return
		}
		for _, change := range p.changes {
			if strings.HasSuffix(change.Path, ".go") {
				formatted, err := format.Source(change.New)
				if err != nil {
					t.Fatalf("%v in\n%s", err, change.New)
				}
				if !bytes.Equal(formatted, change.New) {
					t.Fatalf("not as gofmt writes it:\n%s", cmp.Diff(string(formatted), string(change.New)))
				}
			} else if _, err := ledger.Parse(change.New); err != nil {
				t.Fatalf("%v in\n%s", err, change.New)
			}
			if err := replace(&folders.Overlay{}, change); err != nil {
				t.Fatal(err)
			}
		}
		again, err := planFolder(dir, "a.go")
		if err != nil {
			t.Fatal(err)
		}
		if again.pkg.broken() || len(again.changes) > 0 {
			t.Fatalf("a second run changes %d files, finds %v", len(again.changes), again.pkg.findings)
		}
	})
}

// The ledger records types as far as syntax shows them.
func TestTypes(t *testing.T) {
	const source = `package p

import (
	"os"
	other "example.com/session/v2"
	yaml "gopkg.in/yaml.v3"
	"example.com/go-thing"
	"example.com/kit/v7"
)

type T struct{ In struct{ A [3]U } }
type U int

func one() *T              { return nil }
func two() (x map[U]T, e error) { return nil, nil }
func gen[X any]() X        { panic(0) }

var (
	//meminspect:entry
	a map[string]*other.Session
	//meminspect:entry
	b, c = two()
	//meminspect:entry
	d = one()
	//meminspect:entry
	e, f, g, h = 1, 'x', "s", 1.5
	//meminspect:entry
	i, j = &T{}, []*yaml.Node{}
	//meminspect:entry
	k, l, m = make(chan U), new(thing.X), U(3)
	//meminspect:entry
	n = os.Args
	//meminspect:entry
	o = gen[int]()
	//meminspect:entry
	q func(kit.K) (int, error)
	//meminspect:entry
	r, s = -1, !true
	//meminspect:entry member=In.A[2]
	u T
	//meminspect:entry member=In.B
	v T
	//meminspect:entry
	w = map[string]struct {
		A, B int
	}{}
	//meminspect:entry
	x = int64(3)
	//meminspect:entry
	y = (*T)(nil)
	//meminspect:entry
	z = func() error { return nil }
)
`
	want := map[string]string{
		"a": "map[string]*example.com/session/v2.Session", "b": "map[U]T", "c": "error", "d": "*T",
		"e": "int", "f": "rune", "g": "string", "h": "float64", "i": "*T", "j": "[]*gopkg.in/yaml.v3.Node",
		"k": "chan U", "l": "*example.com/go-thing.X", "m": "U", "n": "?", "o": "?",
		"q": "func(example.com/kit/v7.K) (int, error)", "r": "int", "s": "bool", "u.In.A[2]": "U", "v.In.B": "?",
		"w": "map[string]struct{A, B int}", "x": "int64", "y": "*T", "z": "func() error",
	}
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, "a.go", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	file := &sourceFile{name: "a.go", syntax: syntax, found: annotate.Collect(fset, syntax)}
	types := newTypeReader([]*sourceFile{file})
	got := map[string]string{}
	for i := range file.found.Annotations {
		a := &file.found.Annotations[i]
		got[a.ID()] = types.of(file, a)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The result depends neither on the order in which files are found or written
// nor on earlier runs.
func TestOutputIsDeterministic(t *testing.T) {
	var first map[string]string
	for range 5 {
		dir := fixture(t, everyRow)
		files := map[string]string{}
		for _, change := range generate(t, dir).Changes {
			files[filepath.Base(change.Path)] = string(change.New)
		}
		if first == nil {
			first = files
		} else if diff := cmp.Diff(first, files); diff != "" {
			t.Fatal(diff)
		}
	}
	if len(first) != 2 {
		t.Errorf("%d files", len(first))
	}
}

// The package uses names that the generated code imports or shadows.
func TestShadowedNames(t *testing.T) {
	dir := fixture(t, `
-- go.mod --
module example.com/shadow

go 1.24
-- a.go --
package shadow

import (
	"example.com/shadow/confusion"
	limits "example.com/shadow/limits"
)

// What looks like a part of an import's path is the package's own.
var conf struct{ size [confusion.Size]byte }

//meminspect:area size=len(conf.size)
var confused [8]byte

type unsafe struct{}

func meminspect() {}

var init_ int

//meminspect:area size=limits.Max
//meminspect:entry member=A name=Member
var v struct{ A int }

//meminspect:layout
type lay struct{ a int }

var _ = limits.Max
-- confusion/c.go --
package confusion

const Size = 4
-- limits/l.go --
package limits

const Max = 4
`)
	generate(t, dir)
	mustGo(t, dir, nil, "vet", "./...")
	if err := os.WriteFile(filepath.Join(dir, "b.go"), []byte("package shadow\n\nvar uint64 int\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	result, err := Run(context.Background(), Config{Dir: dir})
	if err != nil || len(result.Findings) != 1 || result.Findings[0].Code != "collision" {
		t.Errorf("%v, %v", result, err)
	}
}
