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
)

// keyTypes have private keys or passwords, whatever the variable's name.
var keyTypes = []string{
	"crypto.PrivateKey", "crypto/rsa.PrivateKey", "crypto/ecdsa.PrivateKey", "crypto/ed25519.PrivateKey",
	"crypto/ecdh.PrivateKey", "crypto/dsa.PrivateKey", "crypto/tls.Certificate",
	"crypto/mlkem.DecapsulationKey768", "crypto/mlkem.DecapsulationKey1024",
	"net/url.Userinfo", "golang.org/x/oauth2.Token",
	"filippo.io/age.X25519Identity", "filippo.io/age.ScryptIdentity",
}

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
	key := u.pass.Pkg.Path() + "." + expr
	if u.excluded(key) {
		return
	}
	name := expr // its last field, or the variable
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name = name[i+1:]
	}
	name, _, _ = strings.Cut(name, "[")
	w := &secretWalk{unit: u, pos: pos, end: end, cure: cure, seen: map[types.Type]bool{}, key: key}
	w.visit(typ, name, expr, nil)
}

// excluded reports whether a variable, type or field has an exclude directive.
func (u *unit) excluded(key string) bool {
	_, found := slices.BinarySearch(u.world.Excluded, key)
	return found
}

// A secretWalk searches what one annotation or registration captures.
type secretWalk struct {
	*unit
	pos, end token.Pos           // where findings are reported
	cure     string              // advice for the captured value itself
	seen     map[types.Type]bool // structs, and the types that lead to the current value
	key      string              // of the innermost variable or named type: exclusions of fields refer to it
	found    int
}

// visit checks a value: its type, its name, the expression that leads to it,
// and its field, nil for the variable itself.
func (w *secretWalk) visit(t types.Type, name, expr string, field *types.Var) {
	if named, ok := types.Unalias(t).(*types.Named); ok {
		key := typeKey(named)
		if w.excluded(key) {
			return
		}
		if slices.Contains(keyTypes, key) {
			w.reportSecret(expr, field, "it is a "+key)
			return
		}
		if w.seen[t] || !w.ours(named.Obj().Pkg()) && !isText(t) {
			return
		}
		w.seen[t] = true
		if _, ok := named.Underlying().(*types.Struct); !ok {
			// Its name comes from the value that contains it, which may be another one
			// next time.
			defer delete(w.seen, t)
		} else {
			defer func(key string) { w.key = key }(w.key)
			w.key = key
		}
	}
	if isText(t) {
		if word := secretWord(name, field == nil && isBytes(t)); word != "" {
			w.reportSecret(expr, field, fmt.Sprintf("its name contains %q", word))
		}
		return
	}
	switch t := t.Underlying().(type) {
	case *types.Pointer:
		w.visit(t.Elem(), name, expr, field)
	case *types.Slice:
		w.visit(t.Elem(), name, expr+"[]", field)
	case *types.Array:
		w.visit(t.Elem(), name, expr+"[]", field)
	case *types.Map:
		w.visit(t.Elem(), name, expr+"[]", field)
	case *types.Struct:
		outer := w.key
		for f := range t.Fields() {
			if key := outer + "." + f.Name(); !w.excluded(key) {
				w.key = key // of an unnamed struct type in a field
				w.visit(f.Type(), f.Name(), expr+"."+f.Name(), f)
				w.key = outer
			}
		}
	}
}

func (w *secretWalk) reportSecret(expr string, field *types.Var, why string) {
	if w.found++; w.found > maxSecrets {
		return
	}
	f := finding{pos: w.pos, end: w.end}
	switch {
	case field == nil:
		f.message = fmt.Sprintf("%s looks like a secret: %s; %s", expr, why, w.cure)
	case field.Pkg() == w.pass.Pkg:
		f.message = fmt.Sprintf("%s looks like a secret: %s; write //meminspect:exclude above the field", expr, why)
		f.fix = w.excludeField(field)
	default:
		f.message = fmt.Sprintf("%s looks like a secret: %s; write //meminspect:exclude above the field in package %s, or on a type or variable here",
			expr, why, field.Pkg().Path())
	}
	w.report(f)
}

// excludeField makes the edit that excludes a field of this package: a line
// above it, in its doc comment if it has one.
func (w *secretWalk) excludeField(field *types.Var) *analysis.SuggestedFix {
	file := w.pass.Fset.File(field.Pos())
	for _, syntax := range w.pass.Files {
		if syntax.FileStart > field.Pos() || field.Pos() >= syntax.FileEnd || file.Name() != w.pass.Fset.Position(field.Pos()).Filename {
			continue
		}
		if !aloneOnLine(w.pass.Fset, syntax, field) {
			return nil
		}
		text, err := w.pass.ReadFile(file.Name())
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
func (w *secretWalk) ours(pkg *types.Package) bool {
	if pkg == nil || pkg == w.pass.Pkg {
		return true
	}
	if w.pass.Module == nil || w.pass.Module.Path == "" {
		return false
	}
	return pkg.Path() == w.pass.Module.Path || strings.HasPrefix(pkg.Path(), w.pass.Module.Path+"/")
}

// typeKey returns a type's name in exclusions: generic ones without brackets.
func typeKey(named *types.Named) string {
	if pkg := named.Obj().Pkg(); pkg != nil {
		return pkg.Path() + "." + named.Obj().Name()
	}
	return named.Obj().Name()
}

// isText reports whether values of the type can be a password.
func isText(t types.Type) bool {
	if basic, ok := t.Underlying().(*types.Basic); ok {
		return basic.Info()&types.IsString != 0
	}
	return isBytes(t)
}

func isBytes(t types.Type) bool {
	var elem types.Type
	switch t := t.Underlying().(type) {
	case *types.Slice:
		elem = t.Elem()
	case *types.Array:
		elem = t.Elem()
	default:
		return false
	}
	basic, ok := elem.Underlying().(*types.Basic)
	return ok && basic.Kind() == types.Uint8
}
