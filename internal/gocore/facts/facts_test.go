// Package facts is the list of what this module knows of Go's runtime. Its test compares the list
// with the source of each release.
package facts

import (
	"bytes"
	_ "embed"
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/printer"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/go/packages"

	"github.com/meminspect/meminspect/internal/gocore/gcstats"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/gocore/heap"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/internal/matrix"
)

//go:embed facts.txt
var list string

var newRelease = flag.String("release", "", "the `release` of Go that TestRelease compares with the newest known one, as go1.28rc1")

// releases are those that this module knows, the newest first.
var releases = []string{"go1.27.3", "go1.26.8", "go1.25.5", "go1.24.9", "go1.23.12", "go1.22.12", "go1.21.13"}

// processors are those on which programs are captured.
var processors = []string{"amd64", "arm64"}

// TestFacts compares each fact of the list with each release.
func TestFacts(t *testing.T) {
	if first, last := version(t, releases[0]), version(t, releases[len(releases)-1]); first.Minor != module.NewestMinor || last.Minor != module.OldestMinor {
		t.Fatalf("the releases from %s to %s are not those that package module knows", last.Text, first.Text)
	}
	facts := parse(t)
	ours := loadOurs(t)
	for _, release := range releases {
		for _, arch := range processors {
			if !matrix.Whole() && arch != runtime.GOARCH {
				continue
			}
			t.Run(release+"/"+arch, func(t *testing.T) {
				v := version(t, release)
				source := loadRelease(t, release, arch)
				for _, f := range facts {
					got, known := source.value(f)
					if !f.applies(v.Minor) {
						continue
					}
					if f.ours == "-" {
						if !known {
							t.Errorf("facts.txt:%d: %s has no %v", f.line, release, f.terms)
						}
						continue
					}
					want, err := ours.value(f.ours, v)
					switch {
					case err != nil:
						t.Errorf("facts.txt:%d: %v", f.line, err)
					case !known && (f.limited() || want != "0" && want != "-1"):
						t.Errorf("facts.txt:%d: %s has no %v, of which %s is %s", f.line, release, f.terms, f.ours, want)
					case known && got != want:
						t.Errorf("facts.txt:%d: %v is %s in %s, %s is %s", f.line, f.terms, got, release, f.ours, want)
					}
				}
			})
		}
	}
}

// TestLayoutsAreListed reports the fields of layouts that the list lacks.
func TestLayoutsAreListed(t *testing.T) {
	listed := map[string]bool{}
	for _, f := range parse(t) {
		listed[f.ours] = true
	}
	// What is no number in the runtime's source.
	for _, name := range []string{"heap.Layout.minor", "heap.Layout.wide", "heap.Layout.cleanupID"} {
		listed[name] = true
	}
	for name, layout := range layouts {
		v := fieldsOf(layout(version(t, releases[0])))
		for i := range v.NumField() {
			field := name + "." + v.Type().Field(i).Name
			if v.Field(i).Kind() != reflect.Struct && !listed[field] {
				t.Errorf("facts.txt has no line for %s", field)
			}
		}
	}
}

// TestRelease lists what a new release of Go has changed.
func TestRelease(t *testing.T) {
	if *newRelease == "" {
		t.Skip("compares a new release of Go, named by -release, with the newest known one")
	}
	for _, arch := range processors {
		before, after := loadRelease(t, releases[0], arch), loadRelease(t, *newRelease, arch)
		for _, f := range parse(t) {
			was, had := before.value(f)
			is, has := after.value(f)
			switch {
			case !had && !has, was == is:
			case !has:
				t.Errorf("%s: facts.txt:%d: %s has no %v any more (%s)", arch, f.line, *newRelease, f.terms, f.ours)
			case !had:
				t.Errorf("%s: facts.txt:%d: %s has %v (%s)", arch, f.line, *newRelease, f.terms, f.ours)
			case f.terms[0].kind == "source":
				t.Errorf("%s: facts.txt:%d: %s changed:\n%s", arch, f.line, f.terms[0].name, cmp.Diff(strings.Split(was, "\n"), strings.Split(is, "\n")))
			default:
				t.Errorf("%s: facts.txt:%d: %v was %s and is %s (%s)", arch, f.line, f.terms, was, is, f.ours)
			}
		}
	}
}

// A fact is a line of the list.
type fact struct {
	line         int
	ours         string
	terms        []term
	since, until int // Go 1.since to 1.until, 0: no limit
}

// A term is what one release or another calls the fact.
type term struct {
	kind, name string
	fields     []string
}

func (t term) String() string {
	return strings.Join(append([]string{t.kind, t.name}, t.fields...), " ")
}

func (f fact) limited() bool          { return f.since != 0 }
func (f fact) applies(minor int) bool { return minor >= f.since && (f.until == 0 || minor <= f.until) }

// parse returns the facts of the list.
func parse(t *testing.T) (facts []fact) {
	t.Helper()
	for i, line := range strings.Split(list, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := fact{line: i + 1}
		line, limits, limited := strings.Cut(line, "  @")
		if limited {
			since, until, ok := strings.Cut(limits, "-")
			var err error
			if f.since, err = strconv.Atoi(since); err != nil || !ok {
				t.Fatalf("facts.txt:%d: %q are no releases", f.line, limits)
			}
			if f.until, err = strconv.Atoi(until); err != nil && until != "" {
				t.Fatalf("facts.txt:%d: %q are no releases", f.line, limits)
			}
		}
		var rest string
		f.ours, rest, _ = strings.Cut(line, " ")
		for _, alternative := range strings.Split(rest, "|") {
			words := strings.Fields(alternative)
			if len(words) < 2 {
				t.Fatalf("facts.txt:%d: %q is no fact", f.line, alternative)
			}
			f.terms = append(f.terms, term{words[0], words[1], words[2:]})
		}
		facts = append(facts, f)
	}
	return facts
}

func version(t *testing.T, release string) module.Version {
	t.Helper()
	v, err := module.ParseVersion(release)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// layouts are those of our packages that depend on the release.
var layouts = map[string]func(module.Version) any{
	"gcstats.Layout":      func(v module.Version) any { return gcstats.LayoutOf(v) },
	"goobject.ChanLayout": func(v module.Version) any { return goobject.ChanLayoutOf(v) },
	"goroutine.Layout":    func(v module.Version) any { return must(goroutine.LayoutOf(v)) },
	"heap.Layout":         func(v module.Version) any { return must(heap.LayoutOf(v)) },
	"heap.Layout.kinds": func(v module.Version) any {
		return reflect.ValueOf(must(heap.LayoutOf(v))).FieldByName("kinds")
	},
	"module.Layout": func(v module.Version) any { return module.LayoutOf(v) },
}

// fieldsOf returns a layout, which may be a field of another one.
func fieldsOf(layout any) reflect.Value {
	if v, ok := layout.(reflect.Value); ok {
		return v
	}
	return reflect.ValueOf(layout)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// ours are the constants of our packages.
type ours map[string]string

// loadOurs reads our constants, those within functions too.
func loadOurs(t *testing.T) ours {
	t.Helper()
	const path = "github.com/meminspect/meminspect/internal/gocore/"
	loaded := load(t, &packages.Config{Mode: packages.LoadSyntax}, path+"...")
	o := ours{}
	for _, p := range loaded {
		for _, object := range p.TypesInfo.Defs {
			if c, ok := object.(*types.Const); ok {
				o[strings.TrimPrefix(p.PkgPath, path)+"."+c.Name()] = c.Val().ExactString()
			}
		}
	}
	return o
}

// value returns the value in our code for a release.
func (o ours) value(name string, v module.Version) (string, error) {
	if at := strings.LastIndex(name, "."); layouts[name[:at]] != nil {
		field := fieldsOf(layouts[name[:at]](v)).FieldByName(name[at+1:])
		switch {
		case !field.IsValid():
		case field.CanInt():
			return strconv.FormatInt(field.Int(), 10), nil
		case field.CanUint():
			return strconv.FormatUint(field.Uint(), 10), nil
		}
		return "", fmt.Errorf("%s is no number of ours", name)
	}
	if state, ok := strings.CutPrefix(name, "goroutine.Semaphore."); ok {
		offset, _ := goroutine.SemaphoreOffset(state)
		return strconv.FormatUint(offset, 10), nil
	}
	switch name {
	case "goobject.TimerOffset":
		offset, _ := goobject.TimerOffset(v)
		return strconv.FormatUint(offset, 10), nil
	case "goroutine.State":
		var reasons []string
		for i := range 256 {
			g := goroutine.G{Status: goroutine.Waiting, WaitReason: uint8(i)}
			reason := g.State(v)
			if i > 0 && reason == goroutine.Waiting.String() {
				break // not known
			}
			reasons = append(reasons, reason)
		}
		reasons[0] = "" // the status takes the place of no reason
		return fmt.Sprintf("%q", reasons), nil
	}
	if value, ok := o[name]; ok {
		return value, nil
	}
	return "", fmt.Errorf("there is no constant %s", name)
}

// A release is the source of one, as the compiler takes it for a processor.
type release struct {
	packages map[string]*packages.Package
	fset     *token.FileSet
}

func loadRelease(t *testing.T, name, arch string) release {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module facts\n\ngo 1.21\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := release{packages: map[string]*packages.Package{}, fset: token.NewFileSet()}
	loaded := load(t, &packages.Config{
		Mode: packages.LoadAllSyntax, Dir: dir, Fset: r.fset,
		Env: append(os.Environ(), "GOTOOLCHAIN="+name, "GOARCH="+arch, "GOOS=linux", "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS="),
	}, "runtime", "sync")
	packages.Visit(loaded, nil, func(p *packages.Package) { r.packages[p.PkgPath] = p })
	return r
}

func load(t *testing.T, config *packages.Config, patterns ...string) []*packages.Package {
	t.Helper()
	loaded, err := packages.Load(config, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	packages.Visit(loaded, nil, func(p *packages.Package) {
		for _, err := range p.Errors {
			t.Errorf("%s: %v", p.PkgPath, err)
		}
	})
	return loaded
}

// value returns the value of a fact in the release as text, and whether the release has one of its terms.
func (r release) value(f fact) (string, bool) {
	for _, term := range f.terms {
		if value, ok := r.term(term); ok {
			return value, true
		}
	}
	return "", false
}

func (r release) term(t term) (string, bool) {
	path, names := split(t.name)
	p := r.packages[path]
	if p == nil {
		return "", false
	}
	if t.kind == "source" {
		return r.source(p, names)
	}
	object := p.Types.Scope().Lookup(names[0])
	switch t.kind {
	case "const":
		if c, ok := object.(*types.Const); ok {
			return c.Val().ExactString(), true
		}
	case "texts":
		return texts(p, names[0])
	case "size":
		if object != nil {
			return strconv.FormatInt(p.TypesSizes.Sizeof(object.Type()), 10), true
		}
	case "offset":
		if object == nil {
			return "", false
		}
		offset, ok := offsetOf(p, object.Type(), t.fields[0])
		if ok && len(t.fields) > 1 {
			var base int64
			base, ok = offsetOf(p, object.Type(), t.fields[1])
			offset -= base
		}
		return strconv.FormatInt(offset, 10), ok
	}
	return "", false
}

// split splits internal/abi.Type.Method into the path and the names.
func split(name string) (path string, names []string) {
	slash := strings.LastIndex(name, "/") + 1
	parts := strings.Split(name[slash:], ".")
	return name[:slash] + parts[0], parts[1:]
}

// offsetOf returns the offset of a field, or of a field of a field.
func offsetOf(p *packages.Package, t types.Type, path string) (offset int64, ok bool) {
	if named, ok := t.(*types.Named); ok && named.TypeParams().Len() > 0 {
		words := slices.Repeat([]types.Type{types.Typ[types.Uintptr]}, named.TypeParams().Len())
		t = must(types.Instantiate(nil, named, words, false))
	}
	for _, name := range strings.Split(path, ".") {
		s, isStruct := t.Underlying().(*types.Struct)
		if !isStruct {
			return 0, false
		}
		fields := slices.Collect(s.Fields())
		i := slices.IndexFunc(fields, func(f *types.Var) bool { return f.Name() == name })
		if i < 0 {
			return 0, false
		}
		offset += p.TypesSizes.Offsetsof(fields)[i]
		t = fields[i].Type()
	}
	return offset, true
}

// texts returns the elements of an array of strings.
func texts(p *packages.Package, name string) (string, bool) {
	for _, file := range p.Syntax {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				s, ok := spec.(*ast.ValueSpec)
				if !ok || s.Names[0].Name != name || len(s.Values) == 0 {
					continue
				}
				var all []string
				next := 0
				for _, e := range s.Values[0].(*ast.CompositeLit).Elts {
					if pair, ok := e.(*ast.KeyValueExpr); ok {
						at, _ := constant.Int64Val(p.TypesInfo.Types[pair.Key].Value)
						next, e = int(at), pair.Value
					}
					for len(all) <= next {
						all = append(all, "")
					}
					all[next] = constant.StringVal(p.TypesInfo.Types[e].Value)
					next++
				}
				return fmt.Sprintf("%q", all), true
			}
		}
	}
	return "", false
}

// source returns the text of a declaration without its comments.
func (r release) source(p *packages.Package, names []string) (string, bool) {
	for _, file := range p.Syntax {
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == names[len(names)-1] && (len(names) == 1) == (d.Recv == nil) && (d.Recv == nil || receiver(d) == names[0]) {
					d.Doc = nil
					return r.print(d), true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok && len(names) == 1 && s.Name.Name == names[0] {
						return r.print(s), true
					}
				}
			}
		}
	}
	return "", false
}

// receiver returns the name of the type of a method's receiver.
func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	for {
		switch e := t.(type) {
		case *ast.StarExpr:
			t = e.X
		case *ast.IndexExpr:
			t = e.X
		case *ast.IndexListExpr:
			t = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// print returns the text of a node without comments, which the node has only in its fields.
func (r release) print(n ast.Node) string {
	ast.Inspect(n, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok {
			f.Doc, f.Comment = nil, nil
		}
		return true
	})
	var b bytes.Buffer
	if err := printer.Fprint(&b, r.fset, n); err != nil {
		return err.Error()
	}
	return b.String()
}
