package lint

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/meminspect/meminspect/annotate"
)

// worlds is the analyzer that collects what a package and all packages below it
// declare, register and exclude.
var worlds = &analysis.Analyzer{
	Name:       "meminspectworld",
	Doc:        "collect declared and registered IDs",
	Requires:   []*analysis.Analyzer{sources},
	FactTypes:  []analysis.Fact{(*worldFact)(nil)},
	Run:        func(pass *analysis.Pass) (any, error) { return makeWorld(pass), nil },
	ResultType: reflect.TypeFor[*packageWorld](),
}

// A worldFact is the fact of a package: what it and everything it imports,
// directly or not, declares, registers and excludes. Lists are sorted and
// without duplicates.
type worldFact struct {
	IDs        []idFact
	Registered []registeredFact
	Used       []string // constants, as path.Name, that something may register
	Excluded   []string // types, as path.Type, and fields, as path.Type.Field
}

// AFact marks worldFact as a fact.
func (*worldFact) AFact() {}

func (w *worldFact) String() string {
	return fmt.Sprintf("%d ids, %d registered, %d used, %d excluded",
		len(w.IDs), len(w.Registered), len(w.Used), len(w.Excluded))
}

// An idFact is one generated ID constant and its annotation.
type idFact struct {
	Package, Module string
	Const           string // its name
	Name            string // the name that has the ID
	Value           uint64
	Declared        bool // declared by an id line, registered at run time
	// The position of the annotation; File is empty if the generated file is
	// stale. Directories are omitted: facts are cached and a checkout may move.
	File         string
	Line, Column int
}

func (f idFact) key() string { return f.Package + "." + f.Const }

// A registeredFact is a registration that runs once in every run of a program.
type registeredFact struct {
	Value   uint64
	Package string
	File    string
	Line    int
}

// A packageWorld is the knowledge that the checks of one package share.
type packageWorld struct {
	*worldFact
	use *programUse
	own []ownID
}

func (w *packageWorld) empty() bool {
	return len(w.IDs) == 0 && len(w.use.registrations) == 0 && len(w.Excluded) == 0
}

// id returns the ID with the value.
func (w *packageWorld) id(value uint64) (idFact, bool) {
	i := slices.IndexFunc(w.IDs, func(f idFact) bool { return f.Value == value })
	if i < 0 {
		return idFact{}, false
	}
	return w.IDs[i], true
}

func makeWorld(pass *analysis.Pass) *packageWorld {
	w := &packageWorld{worldFact: &worldFact{}, use: &programUse{}}
	for _, imported := range pass.Pkg.Imports() {
		var below worldFact
		if pass.ImportPackageFact(imported, &below) {
			w.add(&below)
		}
	}
	source := pass.ResultOf[sources].(*packageSource)
	source.annotations(func(_ *sourceFile, a *annotate.Annotation) {
		w.Excluded = append(w.Excluded, pass.Pkg.Path()+"."+a.Target.String())
	}, annotate.Exclude)
	if importsRuntime(pass.Pkg) {
		w.own = generatedIDs(pass)
		w.use = findUses(pass)
		w.addOwn(pass, source)
	}
	w.normalize()
	if len(w.IDs)+len(w.Registered)+len(w.Used)+len(w.Excluded) > 0 {
		pass.ExportPackageFact(w.worldFact)
	}
	return w
}

func (w *worldFact) add(below *worldFact) {
	w.IDs = append(w.IDs, below.IDs...)
	w.Registered = append(w.Registered, below.Registered...)
	w.Used = append(w.Used, below.Used...)
	w.Excluded = append(w.Excluded, below.Excluded...)
}

// normalize sorts and compacts: most imports have the same facts.
func (w *worldFact) normalize() {
	slices.SortFunc(w.IDs, func(a, b idFact) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Const, b.Const))
	})
	w.IDs = slices.CompactFunc(w.IDs, func(a, b idFact) bool { return a.key() == b.key() })
	slices.SortFunc(w.Registered, func(a, b registeredFact) int {
		return cmp.Or(cmp.Compare(a.Value, b.Value), cmp.Compare(a.Package, b.Package),
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	w.Registered = slices.Compact(w.Registered)
	slices.Sort(w.Used)
	w.Used = slices.Compact(w.Used)
	slices.Sort(w.Excluded)
	w.Excluded = slices.Compact(w.Excluded)
}

// An ownID is an ID constant of the package's generated files.
type ownID struct {
	object *types.Const
	name   string // the name that has the ID, from the comment after the constant
}

// generatedIDs returns the ID constants of the package's generated files.
func generatedIDs(pass *analysis.Pass) []ownID {
	var list []ownID
	for _, file := range pass.Files {
		if !generatedByUs(file) {
			continue
		}
		for _, decl := range file.Decls {
			constants, ok := decl.(*ast.GenDecl)
			if !ok || constants.Tok != token.CONST {
				continue
			}
			for _, spec := range constants.Specs {
				spec := spec.(*ast.ValueSpec)
				c, ok := pass.TypesInfo.Defs[spec.Names[0]].(*types.Const)
				if ok && isID(c.Type()) {
					list = append(list, ownID{c, strings.TrimSpace(spec.Comment.Text())})
				}
			}
		}
	}
	return list
}

// constValue returns an ID constant's number.
func constValue(c *types.Const) uint64 {
	value, _ := constant.Uint64Val(constant.ToInt(c.Val()))
	return value
}

// addOwn adds what the package itself declares and registers.
func (w *packageWorld) addOwn(pass *analysis.Pass, source *packageSource) {
	var module string
	if pass.Module != nil {
		module = pass.Module.Path
	}
	own := map[string]idFact{}
	for _, id := range w.own {
		own[id.name] = idFact{
			Package: pass.Pkg.Path(), Module: module,
			Const: id.object.Name(), Name: id.name, Value: constValue(id.object),
		}
	}
	source.annotations(func(file *sourceFile, a *annotate.Annotation) {
		fact, ok := own[a.ID()]
		if !ok || fact.File != "" {
			return // the generated file is stale, or a second file declares the same ID
		}
		at := pass.Fset.Position(a.Pos)
		fact.Declared = a.Kind == annotate.ID
		fact.File, fact.Line, fact.Column = filepath.Base(file.name), at.Line, at.Column
		own[a.ID()] = fact
	}, annotate.Entry, annotate.Area, annotate.ID)
	w.IDs = slices.AppendSeq(w.IDs, maps.Values(own))
	for c, used := range w.use.used {
		if used {
			w.Used = append(w.Used, c.Pkg().Path()+"."+c.Name())
		}
	}
	for _, r := range w.use.registrations {
		if r.known && r.value != 0 && !w.use.byPointer && r.once(pass) {
			at := pass.Fset.Position(r.call.Pos())
			w.Registered = append(w.Registered, registeredFact{
				Value: r.value, Package: pass.Pkg.Path(), File: filepath.Base(at.Filename), Line: at.Line,
			})
		}
	}
}
