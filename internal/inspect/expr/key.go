package expr

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/nearest"
)

// A wantedKey is a key that a path asks for.
type wantedKey struct {
	node     ast.Expr               // nil if the text is no expression of Go
	source   func(ast.Node) string  // of a part of node
	constant constant.Value         // of a text or a number; nil for others
	text     string                 // its source, without spaces
	types    map[ast.Expr]typeWords // of the types in node
	strict   bool                   // in an interface a constant has its default type
}

// wanted returns the key that a node is.
func wanted(x *Path, n ast.Expr) wantedKey {
	k := wantedKey{node: n, source: x.source, text: compact(x.source(n)), types: map[ast.Expr]typeWords{}}
	if id, ok := n.(*ast.Ident); ok {
		if key, ok := x.keys[x.offset(id)]; ok { // of a key that the parser did not see
			k.node, k.source, k.text = key.node, key.source, compact(key.text)
		}
	}
	k.constant = constantOf(k.node)
	return k
}

// constantOf returns the number or the text that a literal is, nil for others.
func constantOf(n ast.Expr) constant.Value {
	sign := token.ADD
	if u, ok := n.(*ast.UnaryExpr); ok {
		sign, n = u.Op, u.X
	}
	lit, ok := n.(*ast.BasicLit)
	if !ok {
		return nil
	}
	c := constant.MakeFromLiteral(lit.Value, lit.Kind, 0)
	if sign == token.SUB && c.Kind() != constant.String {
		c = constant.UnaryOp(token.SUB, c, 0)
	}
	return c
}

// in returns the index of the key in a map. A constant in an interface has its default
// type, as in Go, or any type if the map does not have that key.
func (k *wantedKey) in(t *value.Table, from int) (index int, ok bool) {
	for _, k.strict = range []bool{true, false} {
		for i := from; i < t.Len(); i++ {
			if k.is(t.Key(i)) {
				return i, true
			}
		}
	}
	return 0, false
}

// is reports whether a value is the key.
func (k *wantedKey) is(v *value.Value) bool {
	if k.node == nil {
		return k.isText(v)
	}
	return k.matches(k.node, v)
}

// isText compares a key that is no expression as it is printed.
func (k *wantedKey) isText(v *value.Value) bool {
	printed := compact(v.KeyText())
	return printed == k.text || strings.HasSuffix(printed, k.text) && strings.HasPrefix(k.text, "{")
}

// matches reports whether a value is what a part of the key means. Types may be left out,
// and within its package a type needs no package name.
func (k *wantedKey) matches(n ast.Expr, v *value.Value) bool {
	for {
		paren, ok := n.(*ast.ParenExpr)
		if !ok {
			break
		}
		n = paren.X
	}
	dynamic := false
	for v.Shape == value.Interface && v.Elem != nil && v.Absent == "" {
		v, dynamic = v.Elem, true
	}
	if id, ok := n.(*ast.Ident); ok && id.Name == "_" { // where a key has what is not known
		return true
	}
	if call, ok := n.(*ast.CallExpr); ok {
		return k.matchesCall(call, v)
	}
	if v.Absent != "" {
		return false
	}
	if c := constantOf(n); c != nil {
		return isConstant(c, v) && (!dynamic || !k.strict || v.Type == defaultType(n))
	}
	switch n := n.(type) {
	case *ast.Ident:
		if n.Name == "nil" {
			return v.Shape == value.Nil
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return v.Shape == value.Pointer && v.Elem != nil && k.matches(n.X, v.Elem)
		}
	case *ast.CompositeLit:
		return (n.Type == nil || k.isType(n.Type, v)) && k.matchesLiteral(n, v)
	}
	return v.Shape == value.Literal && v.Text == compact(k.source(n))
}

// defaultType returns the type of a constant that no type is given.
func defaultType(n ast.Expr) string {
	if u, ok := n.(*ast.UnaryExpr); ok {
		n = u.X
	}
	if lit, ok := n.(*ast.BasicLit); ok {
		switch lit.Kind {
		case token.INT:
			return "int"
		case token.FLOAT:
			return "float64"
		case token.CHAR:
			return "int32"
		}
	}
	return "string"
}

// isConstant compares a constant with a text or a number.
func isConstant(c constant.Value, v *value.Value) bool {
	switch {
	case c.Kind() == constant.String:
		text := constant.StringVal(c)
		return v.Shape == value.Text && (v.Text == text || v.Omitted > 0 && strings.HasPrefix(text, v.Text))
	case v.Shape == value.Literal:
		got := value.Number(v.Text)
		return got != nil && constant.Compare(got, token.EQL, c)
	}
	return false
}

// matchesCall compares a conversion, new(x), or the call that a literal such as a time is
// written as.
func (k *wantedKey) matchesCall(n *ast.CallExpr, v *value.Value) bool {
	if v.Shape == value.Literal && v.Absent == "" && compact(v.Text) == compact(k.source(n)) {
		return true
	}
	if len(n.Args) != 1 {
		return false
	}
	if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "new" && v.Absent == "" {
		return v.Shape == value.Pointer && v.Elem != nil && k.matches(n.Args[0], v.Elem)
	}
	if !k.isType(n.Fun, v) && !k.isAny(n.Fun) {
		return false
	}
	c := constantOf(n.Args[0])
	if (v.Shape == value.Pointer || v.Shape == value.Chan || v.BackRef) && c != nil {
		addr, exact := constant.Uint64Val(constant.ToInt(c))
		return exact && addr == uint64(v.Addr)
	}
	if v.Shape == value.Bytes && c != nil && c.Kind() == constant.String {
		return v.Absent == "" && v.Text == constant.StringVal(c)
	}
	return k.matches(n.Args[0], v)
}

// matchesLiteral compares the elements of a composite literal.
func (k *wantedKey) matchesLiteral(n *ast.CompositeLit, v *value.Value) bool {
	switch v.Shape {
	case value.Struct:
		return k.matchesStruct(n.Elts, v)
	case value.List:
		elems := n.Elts
		if len(elems) > 0 && v.Omitted > 0 && len(elems) == len(v.Elems)+1 {
			elems = elems[:len(v.Elems)]
		}
		return len(elems) == len(v.Elems) && !v.BackRef && !slices.ContainsFunc(indexes(elems), func(i int) bool { return !k.matches(elems[i], v.Elems[i]) })
	case value.Map:
		return len(n.Elts) == len(v.Entries) && !v.BackRef && !slices.ContainsFunc(indexes(n.Elts), func(i int) bool {
			kv, ok := n.Elts[i].(*ast.KeyValueExpr)
			return !ok || !k.matches(kv.Key, v.Entries[i].Key) || !k.matches(kv.Value, v.Entries[i].Value)
		})
	case value.Bytes:
		return len(n.Elts) == len(v.Text) && !slices.ContainsFunc(indexes(n.Elts), func(i int) bool {
			c := constantOf(n.Elts[i])
			return c == nil || c.Kind() == constant.String || !constant.Compare(c, token.EQL, constant.MakeInt64(int64(v.Text[i])))
		})
	case value.Literal: // such as time.Time{}
		return v.Text == compact(k.source(n))
	}
	return false
}

func indexes[T any](list []T) []int {
	all := make([]int, len(list))
	for i := range all {
		all[i] = i
	}
	return all
}

// matchesStruct compares fields: all of them in their order, or some by their names. The
// others are zero.
func (k *wantedKey) matchesStruct(elts []ast.Expr, v *value.Value) bool {
	named := map[string]ast.Expr{}
	for i, elt := range elts {
		kv, ok := elt.(*ast.KeyValueExpr)
		if !ok {
			if len(elts) != len(v.Fields) {
				return false
			}
			named[v.Fields[i].Name] = elt
			continue
		}
		name, ok := kv.Key.(*ast.Ident)
		if !ok || v.Field(name.Name) == nil {
			return false
		}
		named[name.Name] = kv.Value
	}
	for _, f := range v.Fields {
		if elt := named[f.Name]; elt == nil && !f.Value.Zero() || elt != nil && !k.matches(elt, f.Value) {
			return false
		}
	}
	return true
}

// isType reports whether a value has a type.
func (k *wantedKey) isType(n ast.Expr, v *value.Value) bool {
	return k.typeOf(n).are(wordsOf(v.Type))
}

func (k *wantedKey) isAny(n ast.Expr) bool {
	return slices.Equal(k.typeOf(n), wordsOf("interface {}"))
}

func (k *wantedKey) typeOf(n ast.Expr) typeWords {
	words, ok := k.types[n]
	if !ok {
		inner := n
		for {
			paren, ok := inner.(*ast.ParenExpr)
			if !ok {
				break
			}
			inner = paren.X
		}
		words = wordsOf(k.source(inner))
		k.types[n] = words
	}
	return words
}

// typeWords are the tokens of a type.
type typeWords []string

// wordsOf returns the tokens of a type, with one name for each predeclared type.
func wordsOf(typ string) (words typeWords) {
	for _, word := range tokens(typ) {
		switch word {
		case "any":
			words = append(words, "interface", "{", "}")
		case "byte":
			words = append(words, "uint8")
		case "rune":
			words = append(words, "int32")
		default:
			words = append(words, word)
		}
	}
	return words
}

// are reports whether words name a type. Package names may be left out.
func (t typeWords) are(typ typeWords) bool {
	i := 0
	for _, word := range t {
		if i < len(typ) && typ[i] != word && i+2 < len(typ) && typ[i+1] == "." && typ[i+2] == word {
			i += 2
		}
		if i == len(typ) || typ[i] != word {
			return false
		}
		i++
	}
	return i == len(typ)
}

// sameType reports whether a type in a path is one with any of some names.
func sameType(want string, names ...string) bool {
	words := wordsOf(want)
	return slices.ContainsFunc(names, func(name string) bool { return words.are(wordsOf(name)) })
}

// A hiddenKey is a key that the parser of Go does not accept as an index: a composite
// literal without its type, or one of a type whose name is not valid Go.
type hiddenKey struct {
	text   string
	node   ast.Expr // nil if it is no expression
	source func(ast.Node) string
}

// hiddenKeyOf returns the key that a text in brackets is, false if the parser accepts it,
// or rejects it as no key.
func hiddenKeyOf(text string) (hiddenKey, bool) {
	if _, err := parser.ParseExpr(text); err == nil || !strings.ContainsAny(text, "{(") {
		return hiddenKey{}, false
	}
	trimmed := strings.TrimLeft(text, " \t\n")
	if !strings.HasPrefix(trimmed, "{") {
		return hiddenKey{text: text}, true
	}
	const typ = "T"
	node, err := parser.ParseExpr(typ + trimmed)
	lit, ok := node.(*ast.CompositeLit)
	if err != nil || !ok {
		return hiddenKey{text: text}, err != nil && strings.HasSuffix(trimmed, "}")
	}
	lit.Type = nil
	source := func(n ast.Node) string {
		from := max(int(n.Pos())-1-len(typ), 0)
		return trimmed[min(from, len(trimmed)):min(max(int(n.End())-1-len(typ), from), len(trimmed))]
	}
	return hiddenKey{text, lit, source}, true
}

// maxHints is how many keys are compared with one that does not exist.
const maxHints = 10_000

// hintOf names a key that is near to one that does not exist, or some that exist.
func hintOf(t *value.Table, k *wantedKey) string {
	var keys []string
	for i := range min(t.Len(), maxHints) {
		if v := t.Key(i); v.Absent == "" {
			keys = append(keys, t.KeyText(i))
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
