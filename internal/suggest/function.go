package suggest

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

// A function is a declared function or a function literal.
type function struct {
	name     string      // of a literal, that of the function around it
	object   *types.Func // nil for a literal
	receiver *types.Var
	callers  []caller
	locks    bool // it locks a mutex
	handler  bool // its signature is one of a server's handlers
	spawns   bool // it starts goroutines

	initial  bool // it runs only while packages are initialized
	repeated bool // a loop that serves, a handler or what they call runs it
	live     bool // it is repeated, or a goroutine or a callback runs it
}

// A caller is a reference to a function.
type caller struct {
	where
	value bool // the function is not called there: it is a callback
	spawn bool // a go statement
}

// where is the place of an expression.
type where struct {
	fn      *function
	loop    bool // a loop in fn runs it
	serving bool // the loop does not end by itself
}

// repeated reports whether the place runs again and again.
func (w where) repeated() bool { return !w.fn.initial && (w.serving || w.fn.repeated) }

// live reports whether the place runs while the program serves.
func (w where) live() bool { return !w.fn.initial && (w.serving || w.fn.live) }

func (p *program) declareFunction(f *file, decl *ast.FuncDecl) {
	object, ok := f.info.Defs[decl.Name].(*types.Func)
	if !ok {
		return
	}
	fn := &function{name: decl.Name.Name, object: object, receiver: object.Signature().Recv()}
	fn.initial = fn.receiver == nil && decl.Name.Name == "init"
	fn.handler = isHandler(object.Signature(), decl.Name.Name)
	p.functions[decl] = fn
	p.declared[object] = fn
	if t := namedOf(receiverType(fn.receiver)); t != nil && p.types[t.Obj()] != nil {
		owner := p.types[t.Obj()]
		owner.methods = append(owner.methods, fn)
	}
}

func receiverType(receiver *types.Var) types.Type {
	if receiver == nil {
		return nil
	}
	return receiver.Type()
}

// literal records a function literal, and how it is called.
func (p *program) literal(f *file, lit *ast.FuncLit) {
	fn := &function{name: p.where(f).fn.name}
	if signature, ok := f.info.TypeOf(lit).(*types.Signature); ok {
		fn.handler = isHandler(signature, "")
	}
	p.functions[lit] = fn
	p.called(f, lit, fn)
}

// reference records a use of a declared function.
func (p *program) reference(f *file, id *ast.Ident, object *types.Func) {
	at := p.where(f)
	if path := packagePath(object); path == "sync" && (object.Name() == "Lock" || object.Name() == "RLock") {
		at.fn.locks = true
	}
	fn := p.declared[object]
	if fn == nil {
		return
	}
	expr := ast.Expr(id)
	if n := len(f.stack); n > 0 {
		if selector, ok := f.stack[n-1].(*ast.SelectorExpr); ok && selector.Sel == id {
			expr = selector
		}
	}
	p.called(f, expr, fn)
}

// called records that fn is called or referred to by expr.
func (p *program) called(f *file, expr ast.Expr, fn *function) {
	c := caller{where: p.where(f), value: true}
	for i, n := range slices.Backward(f.stack) {
		if n == expr {
			continue
		}
		if paren, ok := n.(*ast.ParenExpr); ok {
			expr = paren
			continue
		}
		call, ok := n.(*ast.CallExpr)
		if !ok {
			break
		}
		if call.Fun == expr {
			c.value = false
			if i > 0 {
				_, c.spawn = f.stack[i-1].(*ast.GoStmt)
			}
		} else if runsOnce(f.info, call) {
			fn.initial = true
			return
		}
		break
	}
	if c.spawn {
		c.fn.spawns = true
	}
	fn.callers = append(fn.callers, c)
}

// runsOnce reports whether a call runs its argument at most once, so that what
// the argument writes is an initial value.
func runsOnce(info *types.Info, call *ast.CallExpr) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	fn, ok := info.Uses[selector.Sel].(*types.Func)
	return ok && packagePath(fn) == "sync" && (fn.Name() == "Do" || strings.HasPrefix(fn.Name(), "Once"))
}

// where returns the place of the current node of a file.
func (p *program) where(f *file) where {
	w := where{fn: p.startup}
	for _, n := range slices.Backward(f.stack) {
		switch n := n.(type) {
		case *ast.FuncLit, *ast.FuncDecl:
			if fn := p.functions[n]; fn != nil {
				w.fn = fn
			}
			return w
		case *ast.ForStmt:
			w.loop = true
			w.serving = w.serving || n.Cond == nil
		case *ast.RangeStmt:
			_, channel := f.info.TypeOf(n.X).Underlying().(*types.Chan)
			w.loop = true
			w.serving = w.serving || channel
		}
	}
	return w
}

// settle derives when functions run from who calls them.
func (p *program) settle() {
	p.untilStable(func(fn *function) bool {
		before := fn.initial
		fn.initial = fn.initial || fn.isInitial()
		return fn.initial != before
	})
	p.untilStable(func(fn *function) bool {
		if fn.initial {
			return false
		}
		repeated, live := fn.repeated, fn.live
		fn.repeated = fn.repeated || fn.handler || slices.ContainsFunc(fn.callers, func(c caller) bool { return c.repeated() })
		fn.live = fn.live || fn.repeated || slices.ContainsFunc(fn.callers, func(c caller) bool { return c.value || c.spawn || c.live() })
		return fn.repeated != repeated || fn.live != live
	})
}

// untilStable calls step for all functions until it reports no change.
func (p *program) untilStable(step func(*function) bool) {
	for changed := true; changed; {
		changed = false
		for _, fn := range p.functions {
			if step(fn) {
				changed = true
			}
		}
	}
}

// isInitial reports whether a function runs only during initialization: all its
// callers do, or it is for importers that register themselves.
func (fn *function) isInitial() bool {
	if len(fn.callers) == 0 {
		return fn.object != nil && fn.receiver == nil && fn.object.Exported() && isRegistration(fn.name)
	}
	for _, c := range fn.callers {
		if c.value || c.spawn || !c.fn.initial {
			return false
		}
	}
	return true
}

func isRegistration(name string) bool {
	return strings.HasPrefix(name, "Register") || strings.HasPrefix(name, "MustRegister")
}

// handlerTypes are parameters of functions that serve a request.
var handlerTypes = []string{
	"net/http.ResponseWriter", "net/http.Request", "net.Conn",
	"github.com/miekg/dns.ResponseWriter", "github.com/gin-gonic/gin.Context",
	"github.com/labstack/echo/v4.Context", "github.com/gofiber/fiber/v2.Ctx",
}

// isHandler reports whether a function looks like one that serves requests.
func isHandler(signature *types.Signature, name string) bool {
	for _, prefix := range []string{"Serve", "Handle", "handle", "serve"} {
		if signature.Recv() != nil && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for param := range signature.Params().Variables() {
		named := namedOf(param.Type())
		if named == nil {
			continue
		}
		if slices.Contains(handlerTypes, typeName(named)) || strings.HasSuffix(named.Obj().Name(), "Request") {
			return true
		}
	}
	return false
}

// namedOf returns the named type of a value or of what it points to.
func namedOf(t types.Type) *types.Named {
	if t == nil {
		return nil
	}
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	named, _ := types.Unalias(t).(*types.Named)
	return named
}

// typeName returns the import path and name of a type.
func typeName(named *types.Named) string {
	if pkg := named.Obj().Pkg(); pkg != nil {
		return pkg.Path() + "." + named.Obj().Name()
	}
	return named.Obj().Name()
}

func packagePath(object types.Object) string {
	if object.Pkg() == nil {
		return ""
	}
	return object.Pkg().Path()
}
