package lint

import (
	"fmt"
	"go/constant"
	"go/types"

	"golang.org/x/tools/go/analysis"

	"github.com/meminspect/meminspect/annotate"
)

// areas reports areas that reach past the end of their variable.
func areas(u *unit) {
	u.source.annotations(func(_ *sourceFile, a *annotate.Annotation) {
		typ, ok := u.annotatedType(a)
		if !ok || a.Size == nil {
			return
		}
		size, ok := u.sizeOf(a)
		has := u.pass.TypesSizes.Sizeof(typ)
		if !ok || size <= uint64(has) {
			return
		}
		pos, end := a.Arg("size")
		f := finding{pos: pos, end: end, message: fmt.Sprintf(
			"size=%s is %s, but %s has only %d", a.Size.Text, bytesText(size), a.Expr(), has)}
		if refersElsewhere(typ) {
			f.message += fmt.Sprintf(": an area is part of the variable itself, and a %s refers to other memory: use //meminspect:entry with depth=", kindName(typ))
		} else {
			f.fix = &analysis.SuggestedFix{
				Message:   fmt.Sprintf("capture all %d bytes", has),
				TextEdits: []analysis.TextEdit{{Pos: pos, End: end, NewText: fmt.Appendf(nil, "size=%d", has)}},
			}
		}
		u.report(f)
	}, annotate.Area)
}

func bytesText(n uint64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// annotatedType returns the type of the memory that an entry or area covers.
func (u *unit) annotatedType(a *annotate.Annotation) (types.Type, bool) {
	v, ok := u.pass.Pkg.Scope().Lookup(a.Target.Name).(*types.Var)
	if !ok {
		return nil, false
	}
	if a.Member == nil {
		return v.Type(), true
	}
	tv, err := u.eval(v, a.Expr())
	if err != nil || !tv.IsValue() {
		return nil, false // the compiler reports it in the generated file
	}
	return tv.Type, true
}

// sizeOf returns the value of size=.
func (u *unit) sizeOf(a *annotate.Annotation) (uint64, bool) {
	if a.Size.Expr == nil {
		return a.Size.Bytes, true
	}
	v := u.pass.Pkg.Scope().Lookup(a.Target.Name)
	tv, err := u.eval(v, a.Size.Text)
	if err != nil || tv.Value == nil {
		return 0, false
	}
	return constant.Uint64Val(constant.ToInt(tv.Value))
}

// eval evaluates an expression in the scope of the file that declares obj.
func (u *unit) eval(obj types.Object, expr string) (types.TypeAndValue, error) {
	return types.Eval(u.pass.Fset, u.pass.Pkg, obj.Pos(), expr)
}

// refersElsewhere reports whether values of the type refer to other memory.
func refersElsewhere(t types.Type) bool { return kindName(t) != "" }

func kindName(t types.Type) string {
	switch t := t.Underlying().(type) {
	case *types.Slice:
		return "slice"
	case *types.Map:
		return "map"
	case *types.Pointer:
		return "pointer"
	case *types.Chan:
		return "channel"
	case *types.Interface:
		return "interface"
	case *types.Basic:
		if t.Info()&types.IsString != 0 {
			return "string"
		}
	}
	return ""
}
