package suggest

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// A use is one use of a variable: of its value, or of what it leads to.
type use struct {
	where
	read    bool
	write   bool
	counts  bool        // ++, += or an atomic addition
	address bool        // a function gets its address
	flag    bool        // a command-line flag sets it
	method  *types.Func // the method that is called on it, or on what it leads to
}

// use records a use of a package-level variable, a field or a receiver.
func (p *program) use(f *file, id *ast.Ident, object *types.Var) {
	if !p.ours(object.Pkg()) {
		return
	}
	isPackageLevel := object.Parent() == object.Pkg().Scope()
	if !isPackageLevel && !object.IsField() && !p.isReceiver(f, object) {
		return
	}
	if n := len(f.stack); n > 0 {
		if pair, ok := f.stack[n-1].(*ast.KeyValueExpr); ok && pair.Key == ast.Expr(id) && object.IsField() {
			return // a field in a composite literal
		}
	}
	v := p.vars[object]
	if v == nil {
		v = &variable{object: object}
		p.vars[object] = v
	}
	u := classify(f.info, id, f.stack)
	u.where = p.where(f)
	v.uses = append(v.uses, u)
}

// isReceiver reports whether a variable is the receiver of the method around
// the current node.
func (p *program) isReceiver(f *file, object *types.Var) bool {
	for _, n := range f.stack {
		if decl, ok := n.(*ast.FuncDecl); ok {
			fn := p.functions[decl]
			return fn != nil && fn.receiver == object
		}
	}
	return false
}

// classify determines what the code around an expression does with it.
func classify(info *types.Info, expr ast.Expr, stack []ast.Node) use {
	address := false
	for _, n := range slices.Backward(stack) {
		switch n := n.(type) {
		case *ast.ParenExpr:
			expr = n
		case *ast.StarExpr:
			expr = n
		case *ast.SelectorExpr:
			if selection := info.Selections[n]; n.X == expr && selection != nil && selection.Kind() != types.FieldVal {
				method, _ := selection.Obj().(*types.Func)
				return use{read: true, method: method.Origin()}
			}
			expr = n
		case *ast.IndexExpr:
			if n.X != expr {
				return use{read: true}
			}
			expr = n
		case *ast.SliceExpr:
			if n.X != expr {
				return use{read: true}
			}
			expr = n
		case *ast.UnaryExpr:
			switch n.Op {
			case token.AND:
				address, expr = true, n
			case token.ARROW:
				return use{read: true, write: true}
			default:
				return use{read: true}
			}
		case *ast.AssignStmt:
			if slices.Contains(n.Lhs, expr) {
				adds := n.Tok == token.ADD_ASSIGN || n.Tok == token.SUB_ASSIGN
				return use{write: true, counts: adds, read: n.Tok != token.ASSIGN && !adds}
			}
			return use{read: true}
		case *ast.IncDecStmt:
			return use{write: true, counts: true}
		case *ast.SendStmt:
			return use{write: n.Chan == expr, read: n.Chan != expr}
		case *ast.RangeStmt:
			return use{write: n.Key == expr || n.Value == expr, read: n.X == expr}
		case *ast.CallExpr:
			return argument(info, n, expr, address)
		default:
			return use{read: true}
		}
	}
	return use{read: true}
}

// argument determines what a call does with an argument.
func argument(info *types.Info, call *ast.CallExpr, expr ast.Expr, address bool) use {
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		if _, ok := info.Uses[fun].(*types.Builtin); ok {
			changes := fun.Name == "delete" || fun.Name == "clear" || fun.Name == "close" || fun.Name == "copy"
			return use{read: !changes, write: changes && call.Args[0] == expr}
		}
	case *ast.SelectorExpr:
		fn, ok := info.Uses[fun.Sel].(*types.Func)
		switch {
		case !ok:
		case packagePath(fn) == "sync/atomic":
			loads := strings.HasPrefix(fn.Name(), "Load")
			return use{read: loads, write: !loads, counts: strings.HasPrefix(fn.Name(), "Add")}
		case address && strings.HasSuffix(fn.Name(), "Var") || address && strings.HasSuffix(fn.Name(), "VarP"):
			return use{read: true, flag: true, address: true}
		}
	}
	return use{read: true, address: address}
}

// mutates reports whether a method changes what its receiver leads to.
func (p *program) mutates(method *types.Func) bool {
	if changes, known := p.mutators[method]; known {
		return changes
	}
	p.mutators[method] = false // while a method that calls itself is examined
	fn := p.declared[method]
	if fn == nil {
		p.mutators[method] = packagePath(method) != "sync/atomic" && isChange(method.Name()) ||
			packagePath(method) == "sync/atomic" && method.Name() != "Load"
		return p.mutators[method]
	}
	if receiver := p.vars[fn.receiver]; fn.receiver != nil && receiver != nil {
		p.mutators[method] = slices.ContainsFunc(receiver.uses, func(u use) bool { return p.changes(&u) })
	}
	return p.mutators[method]
}

// changes reports whether a use changes the variable or what it leads to.
func (p *program) changes(u *use) bool {
	return u.write || u.flag || u.address && u.method == nil || u.method != nil && p.mutates(u.method)
}

// verbs begin the names of methods that change their receivers, for methods
// whose source is not loaded.
var verbs = []string{
	"Add", "Append", "Clear", "Close", "CompareAnd", "Dec", "Delete", "Dequeue", "Done", "Enqueue", "Evict", "Inc",
	"Init", "Insert", "LoadAnd", "LoadOr", "Merge", "Move", "Pop", "Publish", "Purge", "Push", "Put", "Record",
	"Remove", "Reset", "Send", "Set", "Store", "Sub", "Swap", "Update",
}

func isChange(method string) bool {
	return slices.ContainsFunc(verbs, func(verb string) bool { return strings.HasPrefix(method, verb) })
}
