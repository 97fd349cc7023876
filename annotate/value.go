package annotate

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"unicode"

	"github.com/meminspect/meminspect/internal/bytesize"
)

// A Path is the value of member=: the fields and constant indices that lead
// from the variable to the member, like a.b[3].c.
type Path struct {
	Text  string // as it is appended to the variable: .a.b[3].c
	Steps []Step
}

// A Step is one field, or one index.
type Step struct {
	Field string   // "" for an index
	Index ast.Expr // nil for a field; a constant expression
	Text  string   // .a or [3]
}

// ParsePath parses the value of member=.
func ParsePath(text string) (*Path, error) {
	root := "."
	if strings.HasPrefix(text, "[") {
		root = ""
	}
	expr, err := parseExpr("v" + root + text)
	if err != nil {
		return nil, errors.New("want a path of fields and constant indices, like a.b[3].c")
	}
	path := &Path{}
	for {
		switch e := expr.(type) {
		case *ast.SelectorExpr:
			if e.Sel.Name == "_" {
				return nil, errors.New("the blank field cannot be named")
			}
			path.Steps = append(path.Steps, Step{Field: e.Sel.Name, Text: "." + e.Sel.Name})
			expr = e.X
			continue
		case *ast.IndexExpr:
			if err := checkConstant(e.Index); err != nil {
				return nil, fmt.Errorf("index: %w", err)
			}
			path.Steps = append(path.Steps, Step{Index: e.Index, Text: "[" + exprText(e.Index) + "]"})
			expr = e.X
			continue
		case *ast.Ident: // v
		default:
			return nil, errors.New("want only fields and constant indices, like a.b[3].c")
		}
		break
	}
	for i, j := 0, len(path.Steps)-1; i < j; i, j = i+1, j-1 {
		path.Steps[i], path.Steps[j] = path.Steps[j], path.Steps[i]
	}
	for _, step := range path.Steps {
		path.Text += step.Text
	}
	return path, nil
}

// A Size is the value of size=: bytes, or a constant expression in the scope of
// the annotated file.
type Size struct {
	Bytes uint64   // when Expr is nil
	Expr  ast.Expr // nil for a plain size
	Text  string   // as Go source
}

// ParseSize parses the value of size=.
func ParseSize(text string) (*Size, error) {
	if text[0] >= '0' && text[0] <= '9' {
		if n, err := parseBytes(text); err == nil {
			return &Size{Bytes: n, Text: strconv.FormatUint(n, 10)}, nil
		} else if !strings.ContainsAny(text, "+-*/%<>&|^()xob_.") {
			return nil, err
		}
	}
	expr, err := parseExpr(text)
	if err != nil {
		return nil, errors.New("want bytes (4096, 64KiB) or a constant expression in scope")
	}
	if err := checkConstant(expr); err != nil {
		return nil, err
	}
	return &Size{Expr: expr, Text: exprText(expr)}, nil
}

// parseBytes parses a number of bytes. It rejects zero, because a budget of
// zero would mean the default.
func parseBytes(text string) (uint64, error) {
	n, err := bytesize.Parse(text)
	if err == nil && n == 0 {
		err = errors.New("must be more than 0")
	}
	return n, err
}

// parseExpr parses an expression. It rejects comments, because they would be
// lost.
func parseExpr(text string) (ast.Expr, error) {
	if strings.Contains(text, "//") || strings.Contains(text, "/*") {
		return nil, errors.New("comment in expression")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) || r != ' ' && unicode.IsSpace(r) }) ||
		strings.Contains(text, "' '") {
		return nil, errors.New("character that cannot be printed")
	}
	return parser.ParseExpr(text)
}

// checkConstant rejects expressions whose form cannot be constant. The compiler
// checks the rest: generated code uses the expression where only a constant is
// allowed.
func checkConstant(expr ast.Expr) error {
	var err error
	ast.Inspect(expr, func(n ast.Node) bool {
		switch n := n.(type) {
		case nil, *ast.Ident, *ast.SelectorExpr, *ast.BinaryExpr, *ast.ParenExpr,
			*ast.CallExpr, *ast.IndexExpr, *ast.StarExpr:
		case *ast.UnaryExpr:
			if n.Op == token.AND || n.Op == token.ARROW {
				err = fmt.Errorf("%s is not constant", n.Op)
			}
		case *ast.BasicLit:
			if n.Kind != token.INT && n.Kind != token.CHAR {
				err = fmt.Errorf("%s is not an integer constant", n.Value)
			}
		default:
			err = errors.New("want a constant expression of names, integers, operators, len and unsafe.Sizeof")
		}
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "C" {
				err = errors.New("a C constant cannot be used: declare a Go constant for it")
			}
		}
		return err == nil
	})
	return err
}

// exprText formats an expression without spaces: as part of a path it becomes
// part of a name, which is one word of a ledger line.
func exprText(expr ast.Expr) string {
	var text strings.Builder
	printExpr(&text, expr)
	return text.String()
}

// printExpr prints the expression forms that checkConstant accepts.
func printExpr(w *strings.Builder, expr ast.Expr) {
	switch e := expr.(type) {
	case *ast.Ident:
		w.WriteString(e.Name)
	case *ast.BasicLit:
		w.WriteString(e.Value)
	case *ast.SelectorExpr:
		printExpr(w, e.X)
		w.WriteString("." + e.Sel.Name)
	case *ast.ParenExpr:
		w.WriteString("(")
		printExpr(w, e.X)
		w.WriteString(")")
	case *ast.StarExpr:
		w.WriteString("*")
		printExpr(w, e.X)
	case *ast.UnaryExpr:
		w.WriteString(e.Op.String())
		if _, again := e.X.(*ast.UnaryExpr); again {
			printExpr(w, &ast.ParenExpr{X: e.X}) // "--" would be one token
			return
		}
		printExpr(w, e.X)
	case *ast.BinaryExpr:
		printExpr(w, e.X)
		w.WriteString(e.Op.String())
		if _, unary := e.Y.(*ast.UnaryExpr); unary {
			printExpr(w, &ast.ParenExpr{X: e.Y}) // "--" would be one token
			return
		}
		printExpr(w, e.Y)
	case *ast.IndexExpr:
		printExpr(w, e.X)
		w.WriteString("[")
		printExpr(w, e.Index)
		w.WriteString("]")
	case *ast.CallExpr:
		printExpr(w, e.Fun)
		w.WriteString("(")
		for i, arg := range e.Args {
			if i > 0 {
				w.WriteString(",")
			}
			printExpr(w, arg)
		}
		w.WriteString(")")
	}
}
