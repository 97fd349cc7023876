package gen

import (
	"fmt"
	"go/ast"

	"github.com/dave/jennifer/jen"

	"github.com/meminspect/meminspect/annotate"
)

// emitGuards writes functions that are never called and that the compiler
// discards. They do not compile unless the table is static data.
func (o *outputFile) emitGuards(file *jen.File) {
	var lines []jen.Code
	seen := map[string]bool{}
	for i := range o.Entries {
		for _, line := range o.Entries[i].guards() {
			if text := fmt.Sprintf("%#v", line); !seen[text] {
				seen[text] = true
				lines = append(lines, line)
			}
		}
	}
	if len(lines) == 0 {
		return
	}
	body := append([]jen.Code{
		jen.Comment("This does not compile if a member path is not static: through a pointer, a slice,"),
		jen.Comment("a map or an embedded pointer, or if a size or an index is not constant."),
	}, lines...)
	file.Line()
	file.Func().Id("_").Params().Block(body...)
}

// guards returns the guards of one entry. Each step of its path is applied to a
// pointer to the previous value. A field must then be a field of the struct
// itself (unsafe.Offsetof demands it of embedded ones too), and an index an
// index of an array.
func (e *outputEntry) guards() []*jen.Statement {
	var lines []*jen.Statement
	if e.Member != nil {
		at := jen.Id(e.Var)
		for _, step := range e.Member.Steps {
			if step.Index != nil {
				lines = append(lines, jen.Const().Id("_").Op("=").Id("uint64").Call(exprCode(step.Index, e.Imports)))
			}
			at = jen.Parens(jen.Op("&").Add(at)).Add(stepCode(step, e.Imports))
			if step.Index == nil {
				lines = append(lines, jen.Id("_").Op("=").Qual("unsafe", "Offsetof").Call(at.Clone()))
			} else {
				lines = append(lines, jen.Id("_").Op("=").Op("&").Add(at.Clone()))
			}
		}
	}
	if e.Size != nil && e.Size.Expr != nil {
		lines = append(lines, jen.Const().Id("_").Op("=").Id("uint64").Call(exprCode(e.Size.Expr, e.Imports)))
	}
	return lines
}

// stepCode returns one step of a member path.
func stepCode(step annotate.Step, imports imports) *jen.Statement {
	if step.Index == nil {
		return jen.Dot(step.Field)
	}
	return jen.Index(exprCode(step.Index, imports))
}

// exprCode returns an expression of package annotate, with package names
// resolved as in its source file.
func exprCode(expr ast.Expr, imports imports) *jen.Statement {
	switch e := expr.(type) {
	case *ast.Ident:
		return jen.Id(e.Name)
	case *ast.BasicLit:
		return jen.Op(e.Value)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			if path, ok := imports(x.Name); ok {
				return jen.Qual(path, e.Sel.Name)
			}
		}
		return exprCode(e.X, imports).Dot(e.Sel.Name)
	case *ast.ParenExpr:
		return jen.Parens(exprCode(e.X, imports))
	case *ast.StarExpr:
		return jen.Op("*").Add(exprCode(e.X, imports))
	case *ast.UnaryExpr:
		return jen.Op(e.Op.String()).Parens(exprCode(e.X, imports))
	case *ast.BinaryExpr:
		return exprCode(e.X, imports).Op(e.Op.String()).Add(exprCode(e.Y, imports))
	case *ast.IndexExpr:
		return exprCode(e.X, imports).Index(exprCode(e.Index, imports))
	case *ast.CallExpr:
		args := make([]jen.Code, len(e.Args))
		for i, arg := range e.Args {
			args[i] = exprCode(arg, imports)
		}
		return exprCode(e.Fun, imports).Call(args...)
	}
	return jen.Null() // package annotate accepts nothing else
}
