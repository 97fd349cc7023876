// Package api lists the exported API of this project's public packages as text,
// a line for each name, as the files below api do.
package api

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

const module = "github.com/meminspect/meminspect"

// A Package is the exported API of a public package.
type Package struct {
	Path         string   // relative to the project: "runtime/coreimage"
	Lines        []string // sorted
	Names        int      // package-level names and methods; fields are not counted
	Undocumented []string // names without a doc comment
}

// A Build is what decides which files of a package are compiled.
type Build struct{ GOOS, GOARCH, Tags string }

// Load returns the public packages that match patterns, by path, as a build sees
// them. dir is the root of the workspace.
func Load(dir string, build Build, patterns ...string) ([]*Package, error) {
	mode := packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo
	if build.GOOS != runtime.GOOS || build.GOARCH != runtime.GOARCH {
		mode |= packages.NeedDeps // from source: there is no export data without compiling
	}
	loaded, err := packages.Load(&packages.Config{
		Dir:        dir,
		Mode:       mode,
		BuildFlags: []string{"-tags=" + build.Tags},
		Env:        append(os.Environ(), "GOOS="+build.GOOS, "GOARCH="+build.GOARCH, "CGO_ENABLED=0"),
	}, patterns...)
	if err != nil {
		return nil, err
	}
	var out []*Package
	for _, p := range loaded {
		if !public(p) {
			continue
		}
		if len(p.Errors) > 0 {
			return nil, fmt.Errorf("load %s: %w", p.PkgPath, p.Errors[0])
		}
		out = append(out, describe(p))
	}
	slices.SortFunc(out, func(a, b *Package) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// public reports whether users import a package. The formats are shared by the
// modules of the project and promise nothing to others.
func public(p *packages.Package) bool {
	path := relative(p.PkgPath) + "/"
	return p.Name != "main" && len(p.GoFiles) > 0 && !strings.Contains("/"+path, "/internal/") &&
		!strings.HasPrefix(path, "runtime/format/") && !strings.HasPrefix(path, "examples/")
}

func relative(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

func describe(p *packages.Package) *Package {
	d := &describer{pkg: p, out: &Package{Path: relative(p.PkgPath)}, documented: documented(p.Syntax)}
	scope := p.Types.Scope()
	for _, name := range scope.Names() {
		if token.IsExported(name) {
			d.object(scope.Lookup(name))
		}
	}
	slices.Sort(d.out.Lines)
	return d.out
}

type describer struct {
	pkg        *packages.Package
	out        *Package
	documented map[string]bool
}

func (d *describer) line(format string, args ...any) {
	d.out.Lines = append(d.out.Lines, fmt.Sprintf(format, args...))
}

// name counts a name or method, whose key is Type.Method.
func (d *describer) name(key string) {
	d.out.Names++
	if !d.documented[key] {
		d.out.Undocumented = append(d.out.Undocumented, key)
	}
}

func (d *describer) object(o types.Object) {
	d.name(o.Name())
	switch o := o.(type) {
	case *types.Const:
		d.line("const %s %s = %s", o.Name(), d.typ(o.Type()), o.Val().ExactString())
	case *types.Var:
		d.line("var %s %s", o.Name(), d.typ(o.Type()))
	case *types.Func:
		d.line("func %s%s", o.Name(), d.signature(o.Signature()))
	case *types.TypeName:
		d.typeName(o)
	}
}

func (d *describer) typeName(o *types.TypeName) {
	name, typ := o.Name(), o.Type()
	underlying := typ.Underlying()
	kind := d.typ(underlying)
	switch underlying.(type) {
	case *types.Struct:
		kind = "struct"
	case *types.Interface:
		kind = "interface"
	}
	if o.IsAlias() {
		kind = "= " + d.typ(types.Unalias(typ))
	}
	named, _ := types.Unalias(typ).(*types.Named)
	params := ""
	if named != nil {
		params = d.params(named.TypeParams())
	}
	d.line("type %s%s %s", name, params, kind)
	switch u := underlying.(type) {
	case *types.Struct:
		for f := range u.Fields() {
			if f.Exported() {
				d.line("type %s struct, %s %s", name, f.Name(), d.typ(f.Type()))
			}
		}
	case *types.Interface:
		for m := range u.ExplicitMethods() {
			if m.Exported() {
				d.name(name + "." + m.Name())
				d.line("type %s interface, %s%s", name, m.Name(), d.signature(m.Signature()))
			}
		}
		for t := range u.EmbeddedTypes() {
			d.line("type %s interface, embedded %s", name, d.typ(t))
		}
	}
	if named == nil {
		return
	}
	for m := range named.Methods() {
		if m.Exported() {
			d.name(name + "." + m.Name())
			d.line("method (%s) %s%s", d.typ(m.Signature().Recv().Type()), m.Name(), d.signature(m.Signature()))
		}
	}
}

// typ returns a type as this package would write it.
func (d *describer) typ(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p == d.pkg.Types {
			return ""
		}
		return p.Name()
	})
}

func (d *describer) params(list *types.TypeParamList) string {
	if list.Len() == 0 {
		return ""
	}
	var params []string
	for p := range list.TypeParams() {
		params = append(params, p.Obj().Name()+" "+d.typ(p.Constraint()))
	}
	return "[" + strings.Join(params, ", ") + "]"
}

// signature returns a signature without the names of parameters, which are not
// API.
func (d *describer) signature(s *types.Signature) string {
	unnamed := func(t *types.Tuple) *types.Tuple {
		var vars []*types.Var
		for v := range t.Variables() {
			vars = append(vars, types.NewParam(token.NoPos, v.Pkg(), "", v.Type()))
		}
		return types.NewTuple(vars...)
	}
	plain := types.NewSignatureType(nil, nil, nil, unnamed(s.Params()), unnamed(s.Results()), s.Variadic())
	return d.params(s.TypeParams()) + strings.TrimPrefix(d.typ(plain), "func")
}

// documented returns the names that have a doc comment, methods as Type.Method.
// A group's comment documents the constants, variables and types in it.
func documented(files []*ast.File) map[string]bool {
	out := map[string]bool{}
	for _, file := range files {
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Doc != nil {
					out[receiver(decl)+decl.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					documentSpec(out, spec, decl.Doc != nil)
				}
			}
		}
	}
	return out
}

func documentSpec(out map[string]bool, spec ast.Spec, group bool) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			out[name.Name] = group || spec.Doc != nil || spec.Comment != nil
		}
	case *ast.TypeSpec:
		out[spec.Name.Name] = group || spec.Doc != nil || spec.Comment != nil
		if i, ok := spec.Type.(*ast.InterfaceType); ok {
			for _, m := range i.Methods.List {
				for _, name := range m.Names {
					out[spec.Name.Name+"."+name.Name] = m.Doc != nil || m.Comment != nil
				}
			}
		}
	}
}

// receiver returns the prefix of a method's name: its type and a dot.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "."
		default:
			return ""
		}
	}
}
