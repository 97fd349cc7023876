package lint

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/secret"
)

// maxSecrets bounds the values that are reported for one annotation.
const maxSecrets = 10

// secrets reports annotated and registered values that look like secrets: the
// variable itself or what it leads to, as far as the types belong to the
// module. It ignores excluded values.
func secrets(u *unit) {
	u.source.annotations(func(_ *sourceFile, a *annotate.Annotation) {
		if typ, ok := u.annotatedType(a); ok {
			u.secretIn(a.Pos, a.End, typ, a.Expr(), "annotate it with //meminspect:exclude instead")
		}
	}, annotate.Entry, annotate.Area)
	for _, r := range u.world.use.registrations {
		if r.target == nil || r.test {
			continue
		}
		expr := strings.TrimPrefix(types.ExprString(r.target), "&")
		u.secretIn(r.target.Pos(), r.target.End(), r.memory, expr, "do not register it")
	}
}

// secretIn searches one captured value, which is the expression expr in source,
// for secrets.
func (u *unit) secretIn(pos, end token.Pos, typ types.Type, expr, cure string) {
	found := 0
	walk := secret.Walk{
		Excluded: u.excluded,
		Enters:   func(named *types.Named, _ []*types.Var) bool { return u.ours(named.Obj().Pkg()) },
		Found: func(s secret.Secret) {
			if found++; found <= maxSecrets {
				u.report(u.secretFinding(pos, end, &s, cure))
			}
		},
	}
	walk.Value(u.pass.Pkg.Path(), expr, typ)
}

// excluded reports whether a variable, type or field has an exclude directive.
func (u *unit) excluded(key string) bool {
	_, found := slices.BinarySearch(u.world.Excluded, key)
	return found
}

// secretFinding describes a secret. cure is the advice for the captured value
// itself.
func (u *unit) secretFinding(pos, end token.Pos, s *secret.Secret, cure string) finding {
	f := finding{pos: pos, end: end}
	field := s.Field()
	switch {
	case field == nil:
		f.message = fmt.Sprintf("%s looks like a secret: %s; %s", s.Expr, s.Why, cure)
	case field.Pkg() == u.pass.Pkg:
		f.message = fmt.Sprintf("%s looks like a secret: %s; write //meminspect:exclude above the field", s.Expr, s.Why)
		f.fix = u.excludeField(field)
	default:
		f.message = fmt.Sprintf("%s looks like a secret: %s; write //meminspect:exclude above the field in package %s, or on a type or variable here",
			s.Expr, s.Why, field.Pkg().Path())
	}
	return f
}

// excludeField makes the edit that excludes a field of this package: a line
// above it, in its doc comment if it has one.
func (u *unit) excludeField(field *types.Var) *analysis.SuggestedFix {
	file := u.pass.Fset.File(field.Pos())
	for _, syntax := range u.pass.Files {
		if syntax.FileStart > field.Pos() || field.Pos() >= syntax.FileEnd || file.Name() != u.pass.Fset.Position(field.Pos()).Filename {
			continue
		}
		if !aloneOnLine(u.pass.Fset, syntax, field) {
			return nil
		}
		text, err := u.pass.ReadFile(file.Name())
		if err != nil {
			return nil
		}
		start := file.LineStart(file.Line(field.Pos()))
		line := string(text[file.Offset(start):file.Offset(field.Pos())])
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		return &analysis.SuggestedFix{
			Message:   "exclude the field " + field.Name(),
			TextEdits: []analysis.TextEdit{{Pos: start, End: start, NewText: []byte(indent + annotate.Prefix + "exclude\n")}},
		}
	}
	return nil
}

// aloneOnLine reports whether a directive above a field would apply to it
// alone.
func aloneOnLine(fset *token.FileSet, syntax *ast.File, field *types.Var) bool {
	alone := false
	lineOf := func(n ast.Node) int { return fset.Position(n.Pos()).Line }
	ast.PreorderStack(syntax, nil, func(n ast.Node, stack []ast.Node) bool {
		f, ok := n.(*ast.Field)
		if !ok || len(f.Names) != 1 || f.Names[0].Pos() != field.Pos() {
			return true
		}
		list := stack[len(stack)-1].(*ast.FieldList)
		sameLine := func(other *ast.Field) bool { return other != f && lineOf(other) == lineOf(f) }
		alone = lineOf(list) < lineOf(f) && !slices.ContainsFunc(list.List, sameLine) && named(stack)
		return false
	})
	return alone
}

// named reports whether a path of fields leads from a package-level type or
// variable to the declared field: other fields cannot be excluded.
func named(stack []ast.Node) bool {
	for i, n := range slices.Backward(stack) {
		switch n := n.(type) {
		case *ast.StructType, *ast.FieldList, *ast.ParenExpr:
		case *ast.Field:
			if len(n.Names) != 1 {
				return false
			}
		case *ast.TypeSpec:
			return i == 2 && !n.Assign.IsValid() // below the file and its declaration
		case *ast.ValueSpec:
			return i == 2 && len(n.Names) == 1
		default:
			return false
		}
	}
	return false
}

// ours reports whether a package belongs to the same module: fields of other
// modules' types cannot be excluded here.
func (u *unit) ours(pkg *types.Package) bool {
	if pkg == nil || pkg == u.pass.Pkg {
		return true
	}
	if u.pass.Module == nil || u.pass.Module.Path == "" {
		return false
	}
	return pkg.Path() == u.pass.Module.Path || strings.HasPrefix(pkg.Path(), u.pass.Module.Path+"/")
}
