package lint

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"

	"golang.org/x/tools/go/analysis"

	"github.com/meminspect/meminspect/runtime/format/nameid"
)

// once reports whether the registration is made exactly once in every run of
// the program and never removed: a statement of main or of an init, or a
// variable's value, whose ID is not kept to unregister it.
func (r *registration) once(pass *analysis.Pass) bool {
	if r.replaces() || r.another() || r.specs() || r.test || r.returns >= 0 && !r.drops() {
		return false
	}
	for i, n := range r.stack {
		switch n := n.(type) {
		case *ast.FuncDecl:
			isMain := n.Name.Name == "main" && pass.Pkg.Name() == "main"
			if n.Recv != nil || n.Name.Name != "init" && !isMain {
				return false
			}
		case *ast.FuncLit, *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt,
			*ast.SelectStmt, *ast.GoStmt, *ast.DeferStmt:
			return false
		case *ast.BinaryExpr:
			if n.Op == token.LAND || n.Op == token.LOR {
				return false
			}
		case *ast.IfStmt:
			if i+1 < len(r.stack) && r.stack[i+1] != ast.Node(n.Init) {
				return false
			}
		}
	}
	return true
}

// statements returns the list of statements that contains the call and its
// index there, if the call is made whenever that statement is reached.
func (r *registration) statements() (list *ast.BlockStmt, at int) {
	for i := len(r.stack) - 1; i > 0; i-- {
		block, ok := r.stack[i-1].(*ast.BlockStmt)
		if !ok {
			continue
		}
		inner := r.stack[i]
		switch inner := inner.(type) {
		case *ast.ExprStmt, *ast.AssignStmt:
		case *ast.IfStmt:
			if i+1 >= len(r.stack) || r.stack[i+1] != ast.Node(inner.Init) {
				return nil, 0
			}
		default:
			return nil, 0
		}
		return block, slices.Index(block.List, inner.(ast.Stmt))
	}
	return nil, 0
}

// duplicates reports IDs that are certainly registered twice.
func duplicates(u *unit) {
	back := u.takenBack()
	for i, r := range u.world.use.registrations {
		if !r.known || r.value == 0 || r.replaces() || r.another() || r.test || back[r.value] {
			continue
		}
		if id, ok := u.world.id(r.value); ok && !id.Declared && id.File != "" {
			u.report(finding{pos: r.id.Pos(), end: r.id.End(), message: fmt.Sprintf(
				"%s with the ID of %s, which its annotation at %s:%d has already: declare another with //meminspect:id NAME",
				r.name, id.Name, id.File, id.Line)})
			continue
		}
		if r.specs() || u.world.use.byPointer {
			continue
		}
		if first, ok := u.registeredBefore(i); ok {
			at := u.pass.Fset.Position(first)
			u.reportTwice(r, fmt.Sprintf("line %d", at.Line))
			continue
		}
		u.registeredElsewhere(r)
	}
	u.copiedLedgers()
}

func (u *unit) reportTwice(r *registration, where string) {
	name := types.ExprString(r.id)
	u.report(finding{pos: r.call.Pos(), end: r.call.End(), message: fmt.Sprintf(
		"%s is already registered at %s, and a second registration of an ID is refused: use Replace, or another ID",
		name, where)})
}

// registeredBefore finds an earlier registration of the same ID in the same
// list of statements, if nothing in between can remove it.
func (u *unit) registeredBefore(i int) (token.Pos, bool) {
	all := u.world.use.registrations
	block, at := all[i].statements()
	if block == nil || all[i].returns >= 0 && !all[i].drops() {
		return token.NoPos, false
	}
	for _, before := range all[:i] {
		if before.known && before.value == all[i].value && !before.replaces() && !before.specs() && (before.returns < 0 || before.drops()) {
			if other, place := before.statements(); other == block && place < at {
				return before.call.Pos(), true
			}
		}
	}
	return token.NoPos, false
}

// registeredElsewhere reports a registration that runs in every program
// together with another one of the same ID, in an imported package or in
// another file.
func (u *unit) registeredElsewhere(r *registration) {
	if !r.once(u.pass) {
		return
	}
	at := u.pass.Fset.Position(r.call.Pos())
	file := filepath.Base(at.Filename)
	for _, other := range u.world.Registered {
		own := other.Package == u.pass.Pkg.Path()
		here := own && other.File == file && other.Line == at.Line
		// Within one package, report the later one.
		before := other.File < file || other.File == file && other.Line < at.Line
		if other.Value == r.value && !here && (!own || before) {
			where := fmt.Sprintf("%s:%d", other.File, other.Line)
			if !own {
				where = other.Package + ", " + where
			}
			u.reportTwice(r, where)
			return
		}
	}
}

// takenBack returns the IDs that the package unregisters by their constants.
func (u *unit) takenBack() map[uint64]bool {
	back := map[uint64]bool{}
	for c, unregistered := range u.world.use.unregistered {
		if unregistered {
			back[constValue(c)] = true
		}
	}
	return back
}

// copiedLedgers reports packages of one module and program with the same IDs:
// one was copied with its ledger. Only main sees all packages; a package that
// imports its twin sees it too. Packages of other modules may share IDs: they
// are forks or other versions, and the namespace frozen in their ledgers is
// meant to survive that.
func (u *unit) copiedLedgers() {
	if u.pass.Module == nil || u.pass.Module.Path == "" {
		return
	}
	module, self := u.pass.Module.Path, u.pass.Pkg.Path()
	first := map[uint64]idFact{}
	reported := map[string]bool{}
	for _, id := range u.world.IDs {
		if id.Module != module || id.File == "" {
			continue
		}
		before, taken := first[id.Value]
		if !taken {
			first[id.Value] = id
			continue
		}
		if before.Package == id.Package {
			continue
		}
		if nameid.Of(id.Package, id.Name) == id.Value {
			before, id = id, before // the ledger belongs here
		}
		if reported[id.Package] {
			continue
		}
		pos := token.NoPos
		switch {
		case self == id.Package:
			pos = u.ownPosition(id)
		case self == before.Package || u.pass.Pkg.Name() == "main":
			pos = u.positionBelow(id)
		}
		if pos.IsValid() {
			reported[id.Package] = true
			u.report(finding{pos: pos, message: fmt.Sprintf(
				"%s has the ID of %s in %s: the package was copied with its meminspect.ids; remove that file here and generate again",
				id.Name, before.Name, before.Package)})
		}
	}
}
