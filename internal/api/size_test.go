package api_test

import (
	"go/types"
	"path/filepath"
	"testing"

	"golang.org/x/tools/go/packages"
)

// The capture engine is a pipeline of values. A type with many methods or fields
// has more than one subject. Options are lists of independent wishes.
func TestTypesOfCaptureAreSmall(t *testing.T) {
	const maxMethods, maxFields = 20, 12
	loaded, err := packages.Load(&packages.Config{
		Dir:  filepath.Join("..", ".."),
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax | packages.NeedTypes,
	}, "./capture/...")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, p := range loaded {
		for _, name := range p.Types.Scope().Names() {
			named, ok := p.Types.Scope().Lookup(name).Type().(*types.Named)
			if !ok || named.Obj().Pkg() != p.Types {
				continue
			}
			seen++
			if n := named.NumMethods(); n > maxMethods {
				t.Errorf("%s.%s has %d methods", p.PkgPath, name, n)
			}
			if s, ok := named.Underlying().(*types.Struct); ok && name != "Options" && s.NumFields() > maxFields {
				t.Errorf("%s.%s has %d fields", p.PkgPath, name, s.NumFields())
			}
		}
	}
	if seen < 50 {
		t.Errorf("%d types: there are more", seen)
	}
}
