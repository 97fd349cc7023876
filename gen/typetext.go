package gen

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/ledger"
)

// A typeReader finds types as far as the syntax shows them: of declarations
// with an explicit type, or with a value whose form, or whose function in the
// same package, shows it. It spells names of other packages with their import
// paths, so that a new major version of a dependency is another type.
type typeReader struct {
	types map[string]declared // type name to its declaration
	funcs map[string]declared // function name to the file of its result list
}

// declared is a declaration and the file whose imports it uses.
type declared struct {
	file  *sourceFile
	spec  *ast.TypeSpec
	funcs *ast.FuncDecl
}

// typed is a type expression and the file whose imports it uses.
type typed struct {
	expr ast.Expr
	file *sourceFile
}

func newTypeReader(files []*sourceFile) *typeReader {
	r := &typeReader{types: map[string]declared{}, funcs: map[string]declared{}}
	for _, file := range files {
		for _, decl := range file.syntax.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil && decl.Type.TypeParams == nil {
					r.funcs[decl.Name.Name] = declared{file: file, funcs: decl}
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					if spec, ok := spec.(*ast.TypeSpec); ok {
						r.types[spec.Name.Name] = declared{file: file, spec: spec}
					}
				}
			}
		}
	}
	return r
}

// of returns the type of an annotated variable or member.
func (r *typeReader) of(file *sourceFile, a *annotate.Annotation) string {
	spec, ok := a.Target.Spec.(*ast.ValueSpec)
	if !ok {
		return ""
	}
	typ, ok := r.variable(file, spec, a.Target.Index)
	if a.Member != nil {
		for _, step := range a.Member.Steps {
			if ok {
				typ, ok = r.step(typ, step)
			}
		}
	}
	if !ok {
		return ledger.UnknownType
	}
	return typ.text()
}

// variable returns the type of the spec's index-th name.
func (r *typeReader) variable(file *sourceFile, spec *ast.ValueSpec, index int) (typed, bool) {
	switch {
	case spec.Type != nil:
		return typed{spec.Type, file}, true
	case len(spec.Values) == len(spec.Names):
		return r.value(file, spec.Values[index])
	case len(spec.Values) == 1:
		return r.result(spec.Values[0], index)
	}
	return typed{}, false
}

var literalTypes = map[token.Token]string{
	token.INT: "int", token.FLOAT: "float64", token.CHAR: "rune", token.STRING: "string", token.IMAG: "complex128",
}

// value returns the type of an initial value.
func (r *typeReader) value(file *sourceFile, value ast.Expr) (typed, bool) {
	name := func(s string) (typed, bool) { return typed{ast.NewIdent(s), file}, true }
	switch v := value.(type) {
	case *ast.ParenExpr:
		return r.value(file, v.X)
	case *ast.BasicLit:
		return name(literalTypes[v.Kind])
	case *ast.CompositeLit:
		return typed{v.Type, file}, true
	case *ast.FuncLit:
		return typed{v.Type, file}, true
	case *ast.Ident:
		if v.Name == "true" || v.Name == "false" {
			return name("bool")
		}
	case *ast.UnaryExpr:
		inner, ok := r.value(file, v.X)
		switch {
		case ok && v.Op == token.AND:
			return typed{&ast.StarExpr{X: inner.expr}, inner.file}, true
		case v.Op == token.SUB || v.Op == token.ADD || v.Op == token.XOR || v.Op == token.NOT:
			return inner, ok
		}
	case *ast.CallExpr:
		return r.call(file, v)
	}
	return typed{}, false
}

// call returns the type of make, new, a conversion, or a function of the
// package.
func (r *typeReader) call(file *sourceFile, call *ast.CallExpr) (typed, bool) {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		_, ownType := r.types[fun.Name]
		_, ownFunc := r.funcs[fun.Name]
		switch {
		case ownType:
			return typed{fun, file}, true
		case ownFunc:
			return r.result(call, 0)
		case fun.Name == "make" && len(call.Args) > 0:
			return typed{call.Args[0], file}, true
		case fun.Name == "new" && len(call.Args) == 1:
			return typed{&ast.StarExpr{X: call.Args[0]}, file}, true
		}
		if basic, ok := types.Universe.Lookup(fun.Name).(*types.TypeName); ok {
			return typed{ast.NewIdent(basic.Name()), file}, true
		}
	case *ast.ArrayType, *ast.MapType, *ast.ChanType, *ast.FuncType, *ast.InterfaceType:
		return typed{fun, file}, true
	case *ast.ParenExpr:
		if star, ok := fun.X.(*ast.StarExpr); ok {
			return typed{star, file}, true
		}
	}
	return typed{}, false
}

// result returns the index-th result type of a call of a function of the
// package.
func (r *typeReader) result(value ast.Expr, index int) (typed, bool) {
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return typed{}, false
	}
	fun, ok := call.Fun.(*ast.Ident)
	if !ok {
		return typed{}, false
	}
	decl, ok := r.funcs[fun.Name]
	if !ok || decl.funcs.Type.Results == nil {
		return typed{}, false
	}
	for _, field := range decl.funcs.Type.Results.List {
		for range max(1, len(field.Names)) {
			if index == 0 {
				return typed{field.Type, decl.file}, true
			}
			index--
		}
	}
	return typed{}, false
}

// step follows one step of a member path.
func (r *typeReader) step(typ typed, step annotate.Step) (typed, bool) {
	for range 100 { // a type declared as itself does not compile, but may be read here
		switch t := typ.expr.(type) {
		case *ast.ParenExpr:
			typ.expr = t.X
			continue
		case *ast.Ident:
			decl, ok := r.types[t.Name]
			if !ok || decl.spec.TypeParams != nil {
				return typed{}, false
			}
			typ = typed{decl.spec.Type, decl.file}
			continue
		case *ast.ArrayType:
			return typed{t.Elt, typ.file}, step.Index != nil && t.Len != nil
		case *ast.StructType:
			for _, field := range t.Fields.List {
				for _, name := range field.Names {
					if name.Name == step.Field {
						return typed{field.Type, typ.file}, true
					}
				}
			}
		}
		break
	}
	return typed{}, false
}

// text formats a type in one line, with import paths.
func (t typed) text() string {
	var renamed []*ast.Ident
	var names []string
	ast.Inspect(t.expr, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				if path, ok := importOf(t.file.syntax, x.Name); ok && path != "C" {
					renamed, names = append(renamed, x), append(names, x.Name)
					x.Name = path
				}
			}
		}
		return true
	})
	text := strings.Join(strings.Fields(types.ExprString(t.expr)), " ")
	for i, ident := range renamed {
		ident.Name = names[i]
	}
	return text
}
