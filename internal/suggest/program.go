package suggest

import (
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/ast/inspector"
	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/types/typeutil"

	"github.com/meminspect/meminspect/annotate"
)

// A program has what the syntax and types of the loaded packages show about
// functions, variables and the values that they create.
type program struct {
	fset        *token.FileSet
	sizes       types.Sizes
	own         map[*types.Package]*packages.Package
	files       []*file
	functions   map[ast.Node]*function
	declared    map[*types.Func]*function
	startup     *function // evaluates the initial values of package-level variables
	vars        map[*types.Var]*variable
	types       map[*types.TypeName]*structType
	mutators    map[*types.Func]bool
	implemented map[*types.Interface][]types.Type
	fields      map[*types.Var]*declaration
	globals     []*declaration
	secrets     map[*types.Var]string // why a variable or field is a secret, by its use or by what it gets
	sources     []source
	flowsTo     map[*types.Var][]*types.Var // what gets the text of a variable or field
	done        directives
}

// A file is one file of the loaded packages that a person wrote.
type file struct {
	pkg    *packages.Package
	syntax *ast.File
	info   *types.Info
	stack  []ast.Node // the nodes that enclose the current one
}

// A variable is a package-level variable, a field of a struct type, or a
// receiver.
type variable struct {
	object *types.Var
	uses   []use
}

// A structType is a named struct type of the module.
type structType struct {
	object     *types.TypeName
	file       *file
	registered bool // the program registers a value of it
	many       bool // the program keeps many values of it at a time
	created    []creation
	methods    []*function
}

// A creation is the place where a value of a struct type is created.
type creation struct {
	where
	file *file
	stmt ast.Stmt // the statement around it
	name string   // what the statement assigns the value or its pointer to, "" if it has no name
	pos  token.Pos
}

func newProgram(pkgs []*packages.Package) *program {
	p := &program{
		own:         map[*types.Package]*packages.Package{},
		functions:   map[ast.Node]*function{},
		declared:    map[*types.Func]*function{},
		startup:     &function{initial: true},
		vars:        map[*types.Var]*variable{},
		types:       map[*types.TypeName]*structType{},
		mutators:    map[*types.Func]bool{},
		implemented: map[*types.Interface][]types.Type{},
		fields:      map[*types.Var]*declaration{},
		secrets:     map[*types.Var]string{},
		flowsTo:     map[*types.Var][]*types.Var{},
		done:        directives{},
	}
	for _, pkg := range pkgs {
		p.fset, p.sizes = pkg.Fset, pkg.TypesSizes
		p.own[pkg.Types] = pkg
		for _, syntax := range pkg.Syntax {
			if p.written(syntax) {
				p.files = append(p.files, &file{pkg: pkg, syntax: syntax, info: pkg.TypesInfo})
			}
		}
	}
	for _, f := range p.files {
		p.declare(f)
	}
	for _, f := range p.files {
		p.scan(f)
	}
	p.spread()
	p.settle()
	p.count()
	return p
}

// written reports whether a person wrote a file: it is not generated, and the
// compiler reads the file itself and not a copy that cgo made of it.
func (p *program) written(syntax *ast.File) bool {
	name := p.fset.File(syntax.FileStart).Name()
	return !ast.IsGenerated(syntax) && p.fset.Position(syntax.Package).Filename == name && filepath.Ext(name) == ".go"
}

// A declaration is the place where a package-level variable or a field is
// declared.
type declaration struct {
	object *types.Var
	file   *file
	name   string       // the variable, or the field with the type that leads to it: Session.Token
	names  []*ast.Ident // all names that a directive there applies to
	start  token.Pos    // a directive above the line of start applies to it
}

// key returns the name in [directives].
func (d *declaration) key() string { return d.file.pkg.PkgPath + "." + d.name }

// declare records the functions, types, variables and directives of a file.
func (p *program) declare(f *file) {
	p.done.add(f.pkg.PkgPath, annotate.Collect(p.fset, f.syntax))
	for _, decl := range f.syntax.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			p.declareFunction(f, decl)
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				start := spec.Pos()
				if !decl.Lparen.IsValid() {
					start = decl.Pos()
				}
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					p.declareType(f, spec)
				case *ast.ValueSpec:
					p.declareVariables(f, spec, start)
				}
			}
		}
	}
}

func (p *program) declareVariables(f *file, spec *ast.ValueSpec, start token.Pos) {
	for _, id := range spec.Names {
		if object, ok := f.info.Defs[id].(*types.Var); ok && id.Name != "_" {
			p.globals = append(p.globals, &declaration{object: object, file: f, name: id.Name, names: spec.Names, start: start})
		}
	}
}

func (p *program) declareType(f *file, spec *ast.TypeSpec) {
	structure, ok := spec.Type.(*ast.StructType)
	if !ok || spec.Assign.IsValid() {
		return
	}
	object := f.info.Defs[spec.Name].(*types.TypeName)
	if spec.TypeParams == nil {
		p.types[object] = &structType{object: object, file: f}
	}
	p.declareFields(f, structure, spec.Name.Name)
}

// declareFields records the fields that have names: those that lead from a named
// type through unnamed structs.
func (p *program) declareFields(f *file, structure *ast.StructType, owner string) {
	for _, field := range structure.Fields.List {
		names := annotate.FieldNames(field)
		for _, id := range names {
			object, ok := f.info.Defs[id].(*types.Var)
			if !ok { // an embedded field, whose name is a use of its type
				object = embedded(f.info, structure, id.Name)
			}
			if object != nil {
				p.fields[object] = &declaration{object: object, file: f, name: owner + "." + id.Name, names: names, start: field.Pos()}
			}
		}
		if inner, ok := field.Type.(*ast.StructType); ok && len(names) == 1 {
			p.declareFields(f, inner, owner+"."+names[0].Name)
		}
	}
}

func embedded(info *types.Info, structure *ast.StructType, name string) *types.Var {
	t, ok := info.TypeOf(structure).(*types.Struct)
	if !ok {
		return nil
	}
	for field := range t.Fields() {
		if field.Name() == name {
			return field
		}
	}
	return nil
}

// scan records the uses of variables, the calls and the creations in a file.
func (p *program) scan(f *file) {
	kinds := []ast.Node{
		(*ast.Ident)(nil), (*ast.CompositeLit)(nil), (*ast.CallExpr)(nil), (*ast.FuncLit)(nil), (*ast.AssignStmt)(nil),
		(*ast.ValueSpec)(nil), (*ast.SendStmt)(nil), (*ast.IndexExpr)(nil), (*ast.ReturnStmt)(nil),
	}
	root := inspector.New([]*ast.File{f.syntax}).Root()
	for cursor := range root.Preorder(kinds...) {
		f.stack = f.stack[:0]
		for c := range cursor.Enclosing() {
			if c != cursor && c.Node() != nil {
				f.stack = append(f.stack, c.Node())
			}
		}
		slices.Reverse(f.stack)
		p.flows(f, cursor.Node())
		switch n := cursor.Node().(type) {
		case *ast.FuncLit:
			p.literal(f, n)
		case *ast.CompositeLit:
			p.create(f, n, f.info.TypeOf(n))
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && f.info.Uses[id] == types.Universe.Lookup("new") && len(n.Args) == 1 {
				p.create(f, n, f.info.TypeOf(n.Args[0]))
			}
			p.secretArguments(f, n)
			p.registration(f, n)
		case *ast.Ident:
			switch object := f.info.Uses[n].(type) {
			case *types.Func:
				p.reference(f, n, object.Origin())
			case *types.Var:
				p.use(f, n, object.Origin())
			}
		}
	}
}

// registration records the type of a value that the program registers.
func (p *program) registration(f *file, call *ast.CallExpr) {
	fn, ok := typeutil.Callee(f.info, call).(*types.Func)
	if !ok || packagePath(fn) != runtimePath {
		return
	}
	for _, arg := range call.Args {
		if named := namedOf(f.info.TypeOf(arg)); named != nil && p.types[named.Obj()] != nil {
			p.types[named.Obj()].registered = true
		}
	}
}

// runtimePath is the package that programs register with.
const runtimePath = "github.com/meminspect/meminspect/runtime"

// create records where a value is created.
func (p *program) create(f *file, node ast.Expr, t types.Type) {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || p.types[named.Obj()] == nil {
		return
	}
	c := creation{where: p.where(f), file: f, pos: node.Pos()}
	_, pointer := node.(*ast.CallExpr) // new(T)
	expr := node
	for _, n := range slices.Backward(f.stack) {
		switch n := n.(type) {
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				expr, pointer = n, true
			}
		case *ast.AssignStmt:
			if i := slices.Index(n.Rhs, expr); i >= 0 && len(n.Lhs) == len(n.Rhs) && types.ExprString(n.Lhs[i]) != "_" {
				c.name = types.ExprString(n.Lhs[i])
				if !pointer {
					c.name = "&" + c.name
				}
			}
		}
		if stmt, ok := n.(ast.Stmt); ok {
			c.stmt = stmt
			break
		}
	}
	p.types[named.Obj()].created = append(p.types[named.Obj()].created, c)
}

// ours reports whether a type is declared in the loaded packages.
func (p *program) ours(pkg *types.Package) bool { return p.own[pkg] != nil }

// relative returns the folder of a package in its module.
func relative(pkg *packages.Package) string {
	if pkg.Module == nil {
		return pkg.PkgPath
	}
	return strings.TrimPrefix(strings.TrimPrefix(pkg.PkgPath, pkg.Module.Path), "/")
}

// directives has what is annotated already: path.Name for variables, path.Type
// for types, path.Type.Field for fields.
type directives map[string]annotate.Kind

func (d directives) add(path string, file *annotate.File) {
	for _, a := range file.Annotations {
		if a.Kind == annotate.Entry || a.Kind == annotate.Area || a.Kind == annotate.Exclude {
			d[path+"."+a.Target.String()] = a.Kind
		}
	}
}

func (d directives) excluded(key string) bool {
	kind, ok := d[key]
	return ok && kind == annotate.Exclude
}
