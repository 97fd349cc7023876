package lint

import (
	"fmt"
	"go/ast"
	"slices"
)

// unknownIDs reports registrations under a number that no annotation declares.
func unknownIDs(u *unit) {
	for _, r := range u.world.use.registrations {
		if !r.known || r.value == 0 {
			continue
		}
		if _, ok := u.world.id(r.value); !ok {
			u.report(finding{pos: r.id.Pos(), end: r.id.End(), message: fmt.Sprintf(
				"%s with %#x, which is not the ID of an annotation: declare one with //meminspect:id NAME, or use meminspect.IDDynamic",
				r.name, r.value)})
		}
	}
}

// idAlone lists the functions whose regions are unregistered by ID: those of
// New and Make are unregistered by the pointer that they return, weak ones by
// the garbage collector.
var idAlone = []string{"Register", "RegisterSlice", "RegisterString", "RegisterForeign"}

// dropped reports dynamic registrations whose ID is not kept, in packages that
// do not unregister by address either.
func dropped(u *unit) {
	if u.world.use.byPointer {
		return
	}
	for _, r := range u.world.use.registrations {
		if r.known && r.value == 0 && slices.Contains(idAlone, r.name) && r.drops() {
			u.report(finding{pos: r.call.Pos(), end: r.call.End(), message: fmt.Sprintf(
				"the ID that %s picks is not kept, so the region cannot be unregistered: keep the ID, or declare one with //meminspect:id NAME",
				r.name)})
		}
	}
}

// drops reports whether the call's ID is not kept.
func (r *registration) drops() bool {
	var call ast.Expr = r.call
	for i := len(r.stack) - 1; i >= 0; i-- {
		switch parent := r.stack[i].(type) {
		case *ast.ParenExpr:
			call = parent
			continue
		case *ast.ExprStmt, *ast.GoStmt, *ast.DeferStmt:
			return true
		case *ast.AssignStmt:
			if len(parent.Rhs) == 1 && len(parent.Lhs) == r.results {
				return isBlank(parent.Lhs[r.returns])
			}
			at := slices.Index(parent.Rhs, call)
			return at >= 0 && r.results == 1 && isBlank(parent.Lhs[at])
		case *ast.ValueSpec:
			if len(parent.Values) == 1 && len(parent.Names) == r.results {
				return isBlank(parent.Names[r.returns])
			}
			at := slices.Index(parent.Values, call)
			return at >= 0 && r.results == 1 && isBlank(parent.Names[at])
		}
		return false
	}
	return false
}
