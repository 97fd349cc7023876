package lint

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"

	"golang.org/x/tools/go/analysis"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// defaultBudget is what the suggested fix writes.
const defaultBudget = "64KiB"

// unbounded reports captures that ask for more than the default depth and set
// no budget, if what the pointers lead to grows while the program runs.
func unbounded(u *unit) {
	u.source.annotations(func(_ *sourceFile, a *annotate.Annotation) {
		typ, ok := u.annotatedType(a)
		if !ok || a.Depth <= anchor.DefaultDepth || a.Budget > 0 {
			return
		}
		if why := growth(typ, a.Depth, nil); why != "" {
			pos, end := a.Arg("depth")
			u.report(finding{pos: pos, end: end,
				message: fmt.Sprintf("depth=%d follows %s, which has no limit: add budget=, or the entry can take the space of others", a.Depth, why),
				fix: &analysis.SuggestedFix{Message: "add budget=" + defaultBudget, TextEdits: []analysis.TextEdit{
					{Pos: end, End: end, NewText: []byte(" budget=" + defaultBudget)},
				}}})
		}
	}, annotate.Entry, annotate.Area)
	for _, r := range u.world.use.registrations {
		u.unboundedCall(r)
	}
}

// unboundedCall checks the options of a registration.
func (u *unit) unboundedCall(r *registration) {
	depth, ok := r.options["Depth"]
	if !ok || len(depth.Args) != 1 || r.options["Budget"] != nil || r.call.Ellipsis.IsValid() {
		return
	}
	value := u.pass.TypesInfo.Types[depth.Args[0]].Value
	if value == nil || r.memory == nil {
		return
	}
	pointers, _ := constant.Int64Val(constant.ToInt(value))
	if pointers <= anchor.DefaultDepth {
		return
	}
	if why := growth(r.memory, int(pointers), nil); why != "" {
		end := depth.End()
		qualifier := ""
		if selector, ok := depth.Fun.(*ast.SelectorExpr); ok {
			qualifier = types.ExprString(selector.X) + "."
		}
		u.report(finding{pos: depth.Pos(), end: end,
			message: fmt.Sprintf("Depth(%d) follows %s, which has no limit: add Budget, or the region can take the space of others", pointers, why),
			fix: &analysis.SuggestedFix{Message: "add Budget(64<<10)", TextEdits: []analysis.TextEdit{
				{Pos: end, End: end, NewText: []byte(", " + qualifier + "Budget(64<<10)")},
			}}})
	}
}

// growth returns the first value within depth pointers of the type that may
// grow without bound, "" if there is none. seen has the types on the way: one
// that leads back to itself is a list or a tree.
func growth(t types.Type, depth int, seen []types.Type) string {
	if depth <= 0 {
		return ""
	}
	for _, s := range seen {
		if types.Identical(s, t) {
			return "the chain of " + shortType(t)
		}
	}
	switch underlying := t.Underlying().(type) {
	case *types.Slice, *types.Map:
		return shortType(t)
	case *types.Chan:
		return shortType(t)
	case *types.Interface:
		return shortType(t) + ", which can contain anything"
	case *types.Pointer:
		return growth(underlying.Elem(), depth-1, append(seen, t))
	case *types.Array:
		return growth(underlying.Elem(), depth, seen)
	case *types.Struct:
		for f := range underlying.Fields() {
			if why := growth(f.Type(), depth, seen); why != "" {
				return why
			}
		}
	}
	return ""
}

func shortType(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string { return p.Name() })
}
