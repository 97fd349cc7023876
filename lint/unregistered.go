package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/folders"
)

// unregistered reports IDs that an id line declares and nothing registers. An
// ID that other packages cannot name is checked in its own package. For the
// rest only main sees the whole program: the finding is also reported at the
// annotation, and only for IDs of main's own module, because others declare
// theirs for their users.
func unregistered(u *unit) {
	isMain := u.pass.Pkg.Name() == "main"
	var below []idFact
	for _, id := range u.world.IDs {
		if !id.Declared || slices.Contains(u.world.Used, id.key()) {
			continue
		}
		own := id.Package == u.pass.Pkg.Path()
		switch {
		case own && (isMain || !ast.IsExported(id.Const)):
			u.reportUnregistered(id, u.ownPosition(id))
		case !own && isMain && ast.IsExported(id.Const) && u.pass.Module != nil && id.Module == u.pass.Module.Path:
			below = append(below, id)
		}
	}
	u.unregisteredBelow(below)
}

func (u *unit) reportUnregistered(id idFact, pos token.Pos) {
	if pos.IsValid() {
		u.report(finding{pos: pos, message: fmt.Sprintf(
			"%s is declared, but nothing registers it: call meminspect.Register(%s, …), or retire the ID", id.Name, id.Const)})
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

// unregisteredBelow reports IDs of other packages that the whole program does
// not register, except those that another program of the module registers. It
// does not name programs, so that each of them reports the same.
func (u *unit) unregisteredBelow(ids []idFact) {
	root, ok := moduleRoot(u.dir())
	if !ok || len(ids) == 0 {
		return
	}
	names := map[string]bool{}
	for _, id := range ids {
		names[id.Const] = true
	}
	deleteUsed(root, names)
	for _, id := range ids {
		if names[id.Const] {
			u.reportUnregistered(id, u.positionBelow(id))
		}
	}
}

// positionBelow returns the position of an annotation in another package of the
// same module or, if its source is not at the usual place, the package clause
// here.
func (u *unit) positionBelow(id idFact) token.Pos {
	if root, ok := moduleRoot(u.dir()); ok {
		below := strings.TrimPrefix(strings.TrimPrefix(id.Package, id.Module), "/")
		name := filepath.Join(root, filepath.FromSlash(below), id.File)
		if pos := foreign(u.pass.Fset, name, id.Line, id.Column); pos.IsValid() {
			return pos
		}
	}
	return u.clause()
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

// deleteUsed deletes the constants that a hand-written file of the module may
// register. The current program does not register them, but a sibling that
// imports the same package may. It works from syntax, reads the module once,
// and only if there is a finding.
func deleteUsed(root string, names map[string]bool) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // a folder that cannot be read registers nothing
		}
		switch base := d.Name(); {
		case d.IsDir() && path != root && (folders.PassedOver(base) || isModule(path)):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(base) != ".go":
			return nil
		}
		deleteUsedIn(path, names)
		if len(names) == 0 {
			return filepath.SkipAll
		}
		return nil
	})
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// deleteUsedIn deletes the constants that a file may register.
func deleteUsedIn(path string, names map[string]bool) {
	text, err := os.ReadFile(path)
	if err != nil || folders.IsGenerated(text) {
		return
	}
	mentions := func(name string) bool { return bytes.Contains(text, []byte(name)) }
	if !slices.ContainsFunc(slices.Collect(maps.Keys(names)), mentions) {
		return
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		maps.DeleteFunc(names, func(name string, _ bool) bool { return mentions(name) }) // it may
		return
	}
	ast.PreorderStack(syntax, nil, func(n ast.Node, stack []ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && names[id.Name] {
			if register, _ := usedFor(id, stack); register {
				delete(names, id.Name)
			}
		}
		return true
	})
}
