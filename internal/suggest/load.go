package suggest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// Load loads packages of the main modules with their syntax and types, without
// tests. broken has those with errors, which [Find] does not accept.
func Load(ctx context.Context, dir string, flags, patterns []string) (pkgs, broken []*packages.Package, err error) {
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	loaded, err := packages.Load(&packages.Config{
		Context: ctx, Dir: dir, BuildFlags: flags,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedTypes | packages.NeedTypesInfo | packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedModule,
	}, patterns...)
	if err != nil {
		return nil, nil, fmt.Errorf("load packages: %w", err)
	}
	for _, pkg := range loaded {
		switch {
		case len(pkg.Errors) > 0 && len(pkg.GoFiles) == 0 && pkg.Module == nil:
			return nil, nil, fmt.Errorf("load packages: %w", pkg.Errors[0])
		case pkg.Module == nil || !pkg.Module.Main:
		case len(pkg.Errors) > 0 || pkg.IllTyped:
			broken = append(broken, pkg)
		default:
			pkgs = append(pkgs, pkg)
		}
	}
	if len(pkgs) == 0 && len(broken) == 0 {
		return nil, nil, errors.New("no packages of the main module match")
	}
	byPath := func(a, b *packages.Package) int { return strings.Compare(a.PkgPath, b.PkgPath) }
	slices.SortFunc(pkgs, byPath)
	slices.SortFunc(broken, byPath)
	return pkgs, broken, nil
}

// Why returns why a package that [Load] loaded is broken.
func Why(pkg *packages.Package) string {
	for _, err := range pkg.Errors {
		if err.Kind != packages.ListError { // which repeats the compiler's output
			return err.Error()
		}
	}
	if len(pkg.Errors) > 0 {
		return pkg.Errors[0].Error()
	}
	return "a package that it imports does not compile"
}
