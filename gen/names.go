package gen

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"

	"github.com/meminspect/meminspect/annotate"
)

// exprsOf lists the expressions of an annotation.
func exprsOf(a *annotate.Annotation) []ast.Expr {
	var list []ast.Expr
	if a.Size != nil && a.Size.Expr != nil {
		list = append(list, a.Size.Expr)
	}
	if a.Member != nil {
		for _, step := range a.Member.Steps {
			if step.Index != nil {
				list = append(list, step.Index)
			}
		}
	}
	return list
}

// packageNames lists the identifiers that may be package names.
func packageNames(expr ast.Expr) []*ast.Ident {
	var list []*ast.Ident
	ast.Inspect(expr, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				list = append(list, x)
			}
		}
		return true
	})
	return list
}

// importsOf resolves the package names of a file of the unit. A name that the
// package declares is not an import: Go does not allow an import with the name
// of a declaration.
func (p *plan) importsOf(u unit, file *sourceFile) imports {
	return func(name string) (string, bool) {
		if len(p.declared(u, name)) > 0 {
			return "", false
		}
		return importOf(file.syntax, name)
	}
}

// checkExprs reports names in expressions that are neither declared in the
// package nor imported by the file.
func (p *plan) checkExprs(u unit, file *sourceFile, a *annotate.Annotation) {
	for _, expr := range exprsOf(a) {
		for _, name := range packageNames(expr) {
			_, imported := importOf(file.syntax, name.Name)
			if !imported && len(p.declared(u, name.Name)) == 0 {
				p.pkg.find(Finding{Pos: p.pkg.fset.Position(a.Pos), Code: "unknown-name", Message: fmt.Sprintf(
					"%s is neither declared in the package nor clearly one of the file's imports: give the import a name", name.Name)})
			}
		}
	}
}

// declared returns where an identifier of the unit's package is declared. A
// package and its in-package tests share their declarations; external tests
// have their own.
func (p *plan) declared(u unit, name string) []token.Pos {
	if u == externalUnit {
		return p.namedIn(externalUnit, name, packageLevel)
	}
	return slices.Concat(p.namedIn(ownUnit, name, packageLevel), p.namedIn(testUnit, name, packageLevel))
}

// namedIn returns the positions of an identifier in a unit's files, among those
// that list returns.
func (p *plan) namedIn(u unit, name string, list func(*ast.File) []*ast.Ident) []token.Pos {
	var found []token.Pos
	for _, file := range p.pkg.files[u] {
		for _, ident := range list(file.syntax) {
			if ident.Name == name {
				found = append(found, ident.Pos())
			}
		}
	}
	return found
}

// importNames lists the names that a file gives to imports. No package-level
// identifier may have the same name.
func importNames(file *ast.File) []*ast.Ident {
	var list []*ast.Ident
	for _, spec := range file.Imports {
		if spec.Name != nil {
			list = append(list, spec.Name)
		}
	}
	return list
}

// packageLevel lists the package-level identifiers that a file declares.
func packageLevel(file *ast.File) []*ast.Ident {
	var list []*ast.Ident
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil && decl.Name.Name != "init" {
				list = append(list, decl.Name)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					list = append(list, spec.Names...)
				case *ast.TypeSpec:
					list = append(list, spec.Name)
				}
			}
		}
	}
	return list
}

// checkNames reports names that generated code declares or uses but that the
// package already uses for something else. For imported packages the generated
// code uses another name instead.
func (p *plan) checkNames(made map[outputKey]*outputFile) {
	for key, o := range made {
		taken := func(name string) (token.Position, bool) {
			list := p.declared(key.unit, name)
			if len(list) == 0 {
				return token.Position{}, false
			}
			return p.pkg.fset.Position(list[0]), true
		}
		for _, id := range o.IDs {
			pos, ok := taken(id.Const)
			if list := p.namedIn(key.unit, id.Const, importNames); !ok && len(list) > 0 {
				pos, ok = p.pkg.fset.Position(list[0]), true
			}
			if ok {
				p.pkg.find(Finding{Pos: pos, Code: "collision", Message: fmt.Sprintf(
					"%s is the name of the constant for %s: rename this, or give the annotation another name with name=", id.Const, id.Name)})
			}
		}
		if !o.hasTable() && len(o.IDs) == 0 {
			continue
		}
		for _, name := range []string{o.Table, "uint64", "int64", "nil"} {
			if pos, ok := taken(name); ok {
				p.pkg.find(Finding{Pos: pos, Code: "collision", Message: fmt.Sprintf(
					"%s is a name that generated code needs: rename this", name)})
			}
		}
		for path, name := range map[string]string{runtimePath: "meminspect", implPath: "meminspectimpl", "unsafe": "unsafe"} {
			if _, ok := taken(name); ok || aliasTaken(o.Aliases, path, name) {
				o.Aliases[path] = name + "runtime"
			}
		}
		for path, name := range o.Aliases {
			// The annotated file may import the package under this name while another
			// file of the package declares it.
			if _, ok := taken(name); ok && path != runtimePath && path != implPath && path != "unsafe" {
				o.Aliases[path] = name + "_"
			}
		}
	}
}

// aliasTaken reports whether an import other than path has the name.
func aliasTaken(aliases map[string]string, path, name string) bool {
	for other, alias := range aliases {
		if other != path && alias == name {
			return true
		}
	}
	return false
}
