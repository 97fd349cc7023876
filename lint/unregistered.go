package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// unregistered reports IDs that an id line declares and nothing registers.
// What other packages cannot name is settled in its own package. For the rest
// only main sees the whole program: there the finding still stands at the
// annotation, and only IDs of main's own module are looked at, since others
// declare theirs for whoever wants to use them.
func unregistered(u *unit) {
	isMain := u.pass.Pkg.Name() == "main"
	for _, id := range u.world.IDs {
		if !id.Declared || slices.Contains(u.world.Used, id.key()) {
			continue
		}
		own := id.Package == u.pass.Pkg.Path()
		switch {
		case own && (isMain || !ast.IsExported(id.Const)):
			u.reportUnregistered(id, u.ownPosition(id))
		case !own && isMain && ast.IsExported(id.Const) && u.pass.Module != nil && id.Module == u.pass.Module.Path:
			u.unregisteredBelow(id)
		}
	}
}

func (u *unit) reportUnregistered(id idFact, pos token.Pos) {
	if pos.IsValid() {
		u.report(finding{pos: pos, message: fmt.Sprintf(
			"%s is declared and nothing registers it: call meminspect.Register(%s, …), or retire the ID", id.Name, id.Const)})
	}
}

// ownPosition returns the place of an annotation of this package.
func (u *unit) ownPosition(id idFact) token.Pos {
	for _, file := range u.source.files {
		for _, a := range file.Annotations {
			if at := u.pass.Fset.Position(a.Pos); filepath.Base(file.name) == id.File && at.Line == id.Line && at.Column == id.Column {
				return a.Pos
			}
		}
	}
	return token.NoPos
}

// unregisteredBelow reports an ID of another package that the whole program
// does not register, unless another program of the module does. Programs are
// not named, so that each of them says the same.
func (u *unit) unregisteredBelow(id idFact) {
	root, ok := moduleRoot(u.dir())
	if !ok || usedSomewhere(root, id.Const) {
		return
	}
	u.reportUnregistered(id, u.positionBelow(id))
}

// dir returns the package's directory.
func (u *unit) dir() string {
	return filepath.Dir(u.pass.Fset.Position(u.pass.Files[0].Package).Filename)
}

// positionBelow returns the place of an annotation in another package of the
// same module or, when its source is not where modules have it, that of the
// package clause here.
func (u *unit) positionBelow(id idFact) token.Pos {
	if root, ok := moduleRoot(u.dir()); ok {
		below := strings.TrimPrefix(strings.TrimPrefix(id.Package, id.Module), "/")
		name := filepath.Join(root, filepath.FromSlash(below), id.File)
		if pos := foreign(u.pass.Fset, name, id.Line, id.Column); pos.IsValid() {
			return pos
		}
	}
	return u.pass.Files[0].Name.Pos()
}

// moduleRoot returns the directory of the go.mod at or above dir.
func moduleRoot(dir string) (string, bool) {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir = up
	}
}

// usedSomewhere tells whether a written file of the module may register the
// constant. The program at hand does not; a sibling that imports the same
// package may. It works from syntax and is only asked when a finding is at
// hand.
func usedSomewhere(root, name string) bool {
	used := false
	// Unreadable directories hold nothing that this program could be told from.
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		switch base := d.Name(); {
		case d.IsDir() && path != root && (base == "vendor" || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || isModule(path)):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(base) != ".go":
			return nil
		}
		if fileUses(path, name) {
			used = true
			return filepath.SkipAll
		}
		return nil
	})
	return used
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// fileUses tells whether a file may register the constant of that name.
func fileUses(path, name string) (used bool) {
	text, err := os.ReadFile(path)
	if err != nil || bytes.HasPrefix(text, []byte(generatedBy)) || !bytes.Contains(text, []byte(name)) {
		return false
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		return true // it may
	}
	ast.PreorderStack(syntax, nil, func(n ast.Node, stack []ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == name {
			register, _ := usedFor(id, stack)
			used = used || register
		}
		return !used
	})
	return used
}
