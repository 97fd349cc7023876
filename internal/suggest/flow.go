package suggest

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"slices"

	"golang.org/x/tools/go/types/typeutil"

	"github.com/meminspect/meminspect/internal/secret"
)

// namedValues are functions and methods that return the text that their first
// argument names.
var namedValues = map[string]string{
	"net/http.Header.Get":            "header",
	"net/http.Header.Values":         "header",
	"net/http.Request.FormValue":     "form value",
	"net/http.Request.PostFormValue": "form value",
	"net/url.Values.Get":             "parameter",
	"os.Getenv":                      "environment variable",
	"os.LookupEnv":                   "environment variable",
}

// sameText are functions that return their first argument or a part of it.
var sameText = []string{
	"bytes.Clone", "bytes.TrimPrefix", "bytes.TrimSpace", "bytes.TrimSuffix",
	"strings.Clone", "strings.ToLower", "strings.ToUpper", "strings.TrimPrefix", "strings.TrimSpace", "strings.TrimSuffix",
}

// keepers are methods of other modules whose receivers keep the arguments.
var keepers = []string{
	"container/list.List.PushBack", "container/list.List.PushFront", "sync.Map.LoadOrStore", "sync.Map.Store", "sync.Map.Swap",
	"sync/atomic.Pointer.Store", "sync/atomic.Value.Store",
}

// flows records which texts a node stores in which variables.
func (p *program) flows(f *file, node ast.Node) {
	switch n := node.(type) {
	case *ast.AssignStmt:
		p.flowList(f, n.Lhs, n.Rhs)
	case *ast.ValueSpec:
		var names []ast.Expr
		for _, name := range n.Names {
			names = append(names, name)
		}
		p.flowList(f, names, n.Values)
	case *ast.SendStmt:
		p.flow(f, root(f, n.Chan), n.Value)
	case *ast.IndexExpr:
		if _, ok := f.info.TypeOf(n.X).Underlying().(*types.Map); ok {
			p.flow(f, root(f, n.X), n.Index)
		}
	case *ast.ReturnStmt:
		if results := p.results(f); results != nil && results.Len() == len(n.Results) {
			for i, result := range n.Results {
				p.flow(f, results.At(i), result)
			}
		}
	case *ast.CompositeLit:
		p.flowLiteral(f, n)
	case *ast.CallExpr:
		p.flowCall(f, n)
	}
}

func (p *program) flowList(f *file, lhs, rhs []ast.Expr) {
	if len(lhs) == len(rhs) {
		for i := range lhs {
			p.flow(f, root(f, lhs[i]), rhs[i])
		}
		return
	}
	if len(rhs) != 1 {
		return
	}
	call, ok := ast.Unparen(rhs[0]).(*ast.CallExpr)
	if !ok {
		return
	}
	for i := range lhs {
		why, from := p.resultOf(f, call, i)
		p.flowFrom(root(f, lhs[i]), why, from)
	}
}

// results returns the results of the declared function around the current node,
// nil inside a function literal.
func (p *program) results(f *file) *types.Tuple {
	for _, n := range slices.Backward(f.stack) {
		switch n := n.(type) {
		case *ast.FuncLit:
			return nil
		case *ast.FuncDecl:
			if fn, ok := f.info.Defs[n.Name].(*types.Func); ok {
				return fn.Signature().Results()
			}
		}
	}
	return nil
}

func (p *program) flowLiteral(f *file, literal *ast.CompositeLit) {
	structure, ok := f.info.TypeOf(literal).Underlying().(*types.Struct)
	if !ok {
		return // elements of lists and maps flow with their names only
	}
	for i, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			if name, ok := pair.Key.(*ast.Ident); ok {
				field, _ := f.info.Uses[name].(*types.Var)
				p.flow(f, field, pair.Value)
			}
		} else if i < structure.NumFields() {
			p.flow(f, structure.Field(i), element)
		}
	}
}

// flowCall records the arguments that a function of the module gets, and that a
// container keeps.
func (p *program) flowCall(f *file, call *ast.CallExpr) {
	fn, ok := typeutil.Callee(f.info, call).(*types.Func)
	if !ok {
		return
	}
	if p.ours(fn.Pkg()) {
		parameters := fn.Origin().Signature().Params()
		for i, arg := range call.Args {
			if j := min(i, parameters.Len()-1); j >= 0 {
				p.flow(f, parameters.At(j), arg)
			}
		}
		return
	}
	if selector, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok && slices.Contains(keepers, functionName(fn)) {
		for _, arg := range call.Args {
			p.flow(f, root(f, selector.X), arg)
		}
	}
}

// flow records that a variable or field gets the text of an expression, or has it
// in a container.
func (p *program) flow(f *file, to *types.Var, expr ast.Expr) {
	if to == nil || !p.ours(to.Pkg()) {
		return
	}
	if t := f.info.TypeOf(expr); t == nil || !isTextOrTexts(t) {
		return
	}
	why, from := p.origin(f, expr)
	p.flowFrom(to, why, from)
}

func (p *program) flowFrom(to *types.Var, why string, from *types.Var) {
	switch {
	case to == nil || !p.ours(to.Pkg()):
	case why != "":
		p.sources = append(p.sources, source{to.Origin(), why})
	case from != nil:
		p.flowsTo[from.Origin()] = append(p.flowsTo[from.Origin()], to.Origin())
	}
}

// identities in the name of a text show that it is the name of a user or a
// preference, also if a cookie or a header has it.
var identities = []string{"account", "email", "lang", "language", "locale", "login", "name", "tenant", "theme", "user", "username"}

// A source is a variable or field that gets a secret.
type source struct {
	to  *types.Var
	why string
}

// spread records the variables and fields that a secret reaches.
func (p *program) spread() {
	reached := map[*types.Var]bool{}
	for list := p.sources; len(list) > 0; {
		s := list[0]
		list = list[1:]
		if reached[s.to] || secret.IsText(s.to.Type()) && hasWord(s.to.Name(), identities...) {
			continue
		}
		reached[s.to] = true
		if p.secrets[s.to] == "" {
			p.secrets[s.to] = s.why
		}
		for _, to := range p.flowsTo[s.to] {
			list = append(list, source{to, s.why})
		}
	}
}

func isTextOrTexts(t types.Type) bool {
	if slice, ok := t.Underlying().(*types.Slice); ok && secret.IsText(slice.Elem()) {
		return true
	}
	return secret.IsText(t)
}

// root returns the variable or field whose value, or an element of which, an
// expression is: s.tokens for s.tokens[name].
func root(f *file, expr ast.Expr) *types.Var {
	for {
		switch e := expr.(type) {
		case *ast.ParenExpr:
			expr = e.X
		case *ast.StarExpr:
			expr = e.X
		case *ast.SliceExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.CallExpr: // a conversion
			if !f.info.Types[e.Fun].IsType() || len(e.Args) != 1 {
				return nil
			}
			expr = e.Args[0]
		case *ast.SelectorExpr:
			expr = e.Sel
		case *ast.Ident:
			object, _ := f.info.ObjectOf(e).(*types.Var)
			return object
		default:
			return nil
		}
	}
}

// origin returns why the text of an expression is a secret, or the variable that
// it comes from.
func (p *program) origin(f *file, expr ast.Expr) (why string, from *types.Var) {
	switch e := ast.Unparen(expr).(type) {
	case *ast.CallExpr:
		if f.info.Types[e.Fun].IsType() && len(e.Args) == 1 {
			return p.origin(f, e.Args[0])
		}
		return p.resultOf(f, e, 0)
	case *ast.SelectorExpr:
		if named := namedOf(f.info.TypeOf(e.X)); named != nil && typeName(named) == "net/http.Cookie" && e.Sel.Name == "Value" {
			return "it gets the value of a cookie", nil
		}
	}
	return "", root(f, ast.Unparen(expr))
}

// resultOf is origin for a result of a call.
func (p *program) resultOf(f *file, call *ast.CallExpr, result int) (why string, from *types.Var) {
	if id, ok := ast.Unparen(call.Fun).(*ast.Ident); ok && f.info.Uses[id] == types.Universe.Lookup("append") {
		for _, arg := range call.Args[1:] {
			if why, from = p.origin(f, arg); why != "" || from != nil {
				return why, from
			}
		}
		return "", nil
	}
	fn, ok := typeutil.Callee(f.info, call).(*types.Func)
	if !ok {
		return "", nil
	}
	name := functionName(fn)
	switch {
	case name == "net/http.Request.BasicAuth" && result == 1:
		return "it gets the password of a request", nil
	case result == 0 && namedValues[name] != "" && len(call.Args) == 1:
		value := f.info.Types[call.Args[0]].Value
		if value == nil || value.Kind() != constant.String {
			break
		}
		if text := constant.StringVal(value); text != "PWD" && secret.Word(text, secret.Use{Text: true}) != "" {
			return fmt.Sprintf("it gets the %s %q", namedValues[name], text), nil
		}
	case result == 0 && slices.Contains(sameText, name) && len(call.Args) > 0:
		return p.origin(f, call.Args[0])
	case p.ours(fn.Pkg()):
		if results := fn.Origin().Signature().Results(); result < results.Len() && isTextOrTexts(results.At(result).Type()) {
			return "", results.At(result)
		}
	}
	return "", nil
}
