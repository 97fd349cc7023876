package gen

import (
	"go/ast"
	"go/token"
	"slices"
)

// Bounds of the constants of a type. A single constant is a default or a limit, no
// enumeration. Lists of thousands, such as opcodes, would make every program larger.
const (
	minConstants = 2
	maxConstants = 256
)

// An outputConstants is a declared integer type whose constants have their names in the
// table, so that readers print "running (1)" also for a stripped program.
type outputConstants struct {
	Type  string
	Names []string
}

// addConstants adds the constants of the package's own integer types to the tables of
// the files that declare them. A file whose constraint has no table is left out: the
// names are a convenience, not worth a file.
func (p *plan) addConstants(made map[outputKey]*outputFile) {
	files := slices.DeleteFunc(slices.Clone(p.pkg.files[ownUnit]), func(f *sourceFile) bool { return f.constraint.wantsIgnored() })
	types := integerTypes(files)
	var all []typedConstant
	count := map[string]int{}
	for _, file := range files {
		for _, c := range typedConstants(file.syntax, types) {
			count[c.typ]++
			all = append(all, typedConstant{c.name, c.typ, file.constraint})
		}
	}
	for _, c := range all {
		o := made[outputKey{ownUnit, c.constraint}]
		if n := count[c.typ]; o != nil && n >= minConstants && n <= maxConstants {
			o.addConstant(c.typ, c.name)
		}
	}
}

func (o *outputFile) addConstant(typ, name string) {
	for i := range o.Constants {
		if c := &o.Constants[i]; c.Type == typ {
			c.Names = append(c.Names, name)
			return
		}
	}
	o.Constants = append(o.Constants, outputConstants{Type: typ, Names: []string{name}})
}

// integerTypes returns the names of the declared types whose underlying type is known to
// be an integer from this package alone.
func integerTypes(files []*sourceFile) map[string]bool {
	integers := map[string]bool{}
	for _, name := range []string{"int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "uintptr", "byte", "rune"} {
		integers[name] = true
	}
	of := map[string][]string{} // declared types, with all their definitions
	for _, file := range files {
		for _, decl := range file.syntax.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.TYPE {
				continue
			}
			for _, s := range group.Specs {
				spec, underlying := s.(*ast.TypeSpec), ""
				if id, ok := ast.Unparen(spec.Type).(*ast.Ident); ok && spec.TypeParams == nil && !spec.Assign.IsValid() {
					underlying = id.Name
				}
				of[spec.Name.Name] = append(of[spec.Name.Name], underlying)
			}
		}
	}
	for name := range of {
		delete(integers, name) // it hides the predeclared one
	}
	for changed := true; changed; {
		changed = false
		for name, all := range of {
			if !integers[name] && allIn(all, integers) {
				integers[name], changed = true, true
			}
		}
	}
	declared := map[string]bool{}
	for name := range of {
		declared[name] = integers[name]
	}
	return declared
}

func allIn(names []string, set map[string]bool) bool {
	for _, name := range names {
		if !set[name] {
			return false
		}
	}
	return true
}

// A typedConstant is a constant of a declared type.
type typedConstant struct {
	name, typ  string
	constraint fileConstraint
}

// typedConstants returns a file's constants of the given types, in the order of the
// source: those declared with the type, "A State = iota", or converted to it, "A =
// State(1)", and those that repeat such a declaration.
func typedConstants(file *ast.File, types map[string]bool) (all []typedConstant) {
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		var typ ast.Expr
		var values []ast.Expr
		for _, s := range group.Specs {
			spec := s.(*ast.ValueSpec)
			if spec.Type != nil || len(spec.Values) > 0 {
				typ, values = spec.Type, spec.Values
			}
			for i, name := range spec.Names {
				if of := constantType(typ, values, i); types[of] && name.Name != "_" {
					all = append(all, typedConstant{name: name.Name, typ: of})
				}
			}
		}
	}
	return all
}

// constantType returns the name of the type that a declaration states for its constant
// number i, empty if it states none.
func constantType(typ ast.Expr, values []ast.Expr, i int) string {
	if typ == nil && i < len(values) {
		if call, ok := ast.Unparen(values[i]).(*ast.CallExpr); ok && len(call.Args) == 1 {
			typ = ast.Unparen(call.Fun)
		}
	}
	if id, ok := typ.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}
