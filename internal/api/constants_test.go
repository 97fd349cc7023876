package api_test

import (
	"go/types"
	"path/filepath"
	"testing"

	"golang.org/x/tools/go/packages"
)

// No constant of a package that programs embed has a type of another package.
// Debuggers name the values of such a type by its constants: Delve shows any
// time.Duration of 3 s by the name of ours.
func TestConstants(t *testing.T) {
	loaded, err := packages.Load(&packages.Config{
		Dir:  filepath.Join("..", ".."),
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax | packages.NeedTypes,
	}, "./runtime/...")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, p := range loaded {
		scope := p.Types.Scope()
		for _, name := range scope.Names() {
			c, ok := scope.Lookup(name).(*types.Const)
			if !ok {
				continue
			}
			seen++
			basic, ok := c.Type().Underlying().(*types.Basic)
			if !ok || basic.Info()&types.IsInteger == 0 {
				continue // debuggers name integers alone
			}
			if named, ok := types.Unalias(c.Type()).(*types.Named); ok && named.Obj().Pkg() != p.Types {
				t.Errorf("%s: %s.%s has the type %v: make it untyped", p.Fset.Position(c.Pos()), p.PkgPath, name, named)
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d constants: there are more", seen)
	}
}
