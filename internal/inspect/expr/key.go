package expr

import (
	"go/ast"
	"go/constant"
	"go/token"
	"strings"

	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/nearest"
)

// A wantedKey is a key that a path asks for.
type wantedKey struct {
	constant constant.Value // of a text or a number; nil for others
	text     string         // its source, without spaces
}

// wanted returns the key that a node is.
func wanted(x *Path, n ast.Expr) wantedKey {
	k := wantedKey{text: compact(x.source(n))}
	sign := token.ADD
	if u, ok := n.(*ast.UnaryExpr); ok {
		sign, n = u.Op, u.X
	}
	if lit, ok := n.(*ast.BasicLit); ok {
		k.constant = constant.MakeFromLiteral(lit.Value, lit.Kind, 0)
		if sign == token.SUB && k.constant.Kind() != constant.String {
			k.constant = constant.UnaryOp(token.SUB, k.constant, 0)
		}
	}
	return k
}

// is reports whether a value is the key. A key that is no constant is compared as it
// is printed, with or without the name of its package.
func (k wantedKey) is(v *value.Value) bool {
	for v.Shape == value.Interface && v.Elem != nil {
		v = v.Elem
	}
	switch {
	case v.Absent != "":
		return false
	case k.constant != nil && k.constant.Kind() == constant.String:
		return v.Shape == value.Text && v.Text == constant.StringVal(k.constant)
	case k.constant != nil && v.Shape == value.Literal:
		got := value.Number(v.Text)
		return got != nil && constant.Compare(got, token.EQL, k.constant)
	}
	printed := compact(v.Go())
	// Within its package a type needs no package name.
	return printed == k.text || strings.HasSuffix(printed, "."+k.text) || v.Text == k.text
}

// maxHints is how many keys are compared with one that does not exist.
const maxHints = 10_000

// hintOf names a key that is near to one that does not exist, or some that exist.
func hintOf(t *value.Table, k wantedKey) string {
	var keys []string
	for i := range min(t.Len(), maxHints) {
		if v := t.Key(i); v.Absent == "" {
			keys = append(keys, keyText(v))
		}
	}
	if len(keys) == 0 {
		return ""
	}
	if near, ok := nearest.Word(k.text, keys); ok {
		return ": did you mean " + near + "?"
	}
	return ": it has " + some(keys)
}
