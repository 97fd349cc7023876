package api_test

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// The text of each sentinel error of the runtime begins with the project's name: a
// program logs it among the errors of other libraries.
func TestSentinelErrors(t *testing.T) {
	loaded, err := packages.Load(&packages.Config{
		Dir:  filepath.Join("..", ".."),
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
	}, "./runtime/...")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	check := func(p *packages.Package, name *ast.Ident, text string) {
		seen++
		if !strings.HasPrefix(text, "meminspect: ") {
			t.Errorf("%s: %s.%s is %q: begin with \"meminspect: \"", p.Fset.Position(name.Pos()), p.PkgPath, name.Name, text)
		}
	}
	for _, p := range loaded {
		if strings.Contains(p.PkgPath, "/format/") {
			continue // of tools, too
		}
		for _, file := range p.Syntax {
			for _, decl := range file.Decls {
				group, ok := decl.(*ast.GenDecl)
				if !ok || group.Tok != token.VAR && group.Tok != token.CONST {
					continue
				}
				for _, spec := range group.Specs {
					value := spec.(*ast.ValueSpec)
					for i, name := range value.Names {
						if !strings.HasPrefix(name.Name, "Err") || !publishes(p, name) || i >= len(value.Values) {
							continue
						}
						switch o := p.TypesInfo.Defs[name].(type) {
						case *types.Const:
							check(p, name, constant.StringVal(o.Val()))
						case *types.Var:
							// errors.New("…"); others are constants of another package.
							if call, ok := value.Values[i].(*ast.CallExpr); ok && len(call.Args) == 1 {
								if text, ok := call.Args[0].(*ast.BasicLit); ok {
									unquoted, _ := strconv.Unquote(text.Value)
									check(p, name, unquoted)
								}
							}
						}
					}
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("%d sentinel errors: there are more", seen)
	}
}

// publishes reports whether users see a package's error of a name: in a public
// package, or as a constant error that a public one publishes.
func publishes(p *packages.Package, name *ast.Ident) bool {
	if !strings.Contains(p.PkgPath, "/internal/") {
		return true
	}
	c, ok := p.TypesInfo.Defs[name].(*types.Const)
	return ok && types.Implements(c.Type(), types.Universe.Lookup("error").Type().Underlying().(*types.Interface))
}
