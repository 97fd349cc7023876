package lint

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/types/typeutil"
)

// runtimePath is the package that programs register with.
const runtimePath = "github.com/meminspect/meminspect/runtime"

// A registration is one call that gives a region an ID.
type registration struct {
	call *ast.CallExpr
	name string // of the function: Register, Replace, …
	id   ast.Expr
	// value is the ID when the argument is constant.
	value   uint64
	known   bool
	test    bool
	stack   []ast.Node // the nodes that enclose the call, outermost first
	results int
	options map[string]*ast.CallExpr // Depth, Budget, Another, … by name
	memory  types.Type               // what is registered, nil if unknown
	target  ast.Expr                 // the argument that is a pointer to it, or a slice
	// returns is the index of the ID among the results, -1 if there is none.
	returns int
}

// findOptions finds the options of the call and the memory that it registers.
func (r *registration) findOptions(info *types.Info, signature *types.Signature) {
	r.options = map[string]*ast.CallExpr{}
	for i, arg := range r.call.Args {
		if call, ok := ast.Unparen(arg).(*ast.CallExpr); ok {
			if fn := runtimeFunction(info, call); fn != nil {
				r.options[fn.Name()] = call
			}
		}
		if i >= signature.Params().Len() || signature.Variadic() && i == signature.Params().Len()-1 || arg == r.id {
			continue
		}
		switch t := info.TypeOf(arg).Underlying().(type) {
		case *types.Pointer:
			r.memory, r.target = t.Elem(), arg
		case *types.Slice:
			r.memory, r.target = t.Elem(), arg
		}
	}
}

// another reports whether the call allows, or may allow, others with the same ID.
func (r *registration) another() bool {
	return r.options["Another"] != nil || r.call.Ellipsis.IsValid()
}

// replaces reports whether the call replaces another registration.
func (r *registration) replaces() bool { return strings.HasPrefix(r.name, "Replace") }

// specs reports whether the call only makes an argument of RegisterAll.
func (r *registration) specs() bool { return r.name == "Value" || r.name == "Elements" }

// registers reports whether a function of the runtime gives a region an ID.
func registers(name string) bool {
	for _, prefix := range []string{"Register", "Replace", "New", "Make", "Value", "Elements"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// isID reports whether a type is the runtime's ID.
func isID(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok {
		return false
	}
	obj := named.Obj()
	return obj.Name() == "ID" && obj.Pkg() != nil && obj.Pkg().Path() == runtimePath
}

// importsRuntime reports whether a package can use the runtime.
func importsRuntime(pkg *types.Package) bool {
	return slices.ContainsFunc(pkg.Imports(), func(p *types.Package) bool { return p.Path() == runtimePath })
}

// A programUse records how the hand-written files of a package use IDs.
type programUse struct {
	registrations []*registration
	used          map[*types.Const]bool // ID constants that something may register
	unregistered  map[*types.Const]bool // ID constants that are passed to Unregister
	byPointer     bool                  // something is unregistered by its address
}

// findUses searches the hand-written files. The runtime's own packages have
// their own IDs.
func findUses(pass *analysis.Pass) *programUse {
	use := &programUse{used: map[*types.Const]bool{}, unregistered: map[*types.Const]bool{}}
	if strings.HasPrefix(strings.TrimSuffix(pass.Pkg.Path(), "_test")+"/", runtimePath+"/") {
		return use
	}
	for _, file := range pass.Files {
		if _, _, generated := original(pass.Fset, file); generated {
			continue
		}
		test := isTest(pass.Fset.Position(file.Package).Filename)
		ast.PreorderStack(file, nil, func(n ast.Node, stack []ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if c, ok := pass.TypesInfo.Uses[n].(*types.Const); ok && isID(c.Type()) {
					register, unregister := usedFor(n, stack)
					use.used[c] = use.used[c] || register
					use.unregistered[c] = use.unregistered[c] || unregister
				}
			case *ast.CallExpr:
				use.byPointer = use.byPointer || unregistersByPointer(pass.TypesInfo, n)
				if r := registrationOf(pass.TypesInfo, n); r != nil {
					r.stack, r.test = slices.Clone(stack), test
					use.registrations = append(use.registrations, r)
				}
			}
			return true
		})
	}
	return use
}

// runtimeFunction returns the called function of the runtime, nil if it belongs
// to another package.
func runtimeFunction(info *types.Info, call *ast.CallExpr) *types.Func {
	fn, ok := typeutil.Callee(info, call).(*types.Func)
	if !ok || fn.Pkg() == nil || fn.Pkg().Path() != runtimePath || fn.Signature().Recv() != nil {
		return nil
	}
	return fn
}

// unregistersByPointer reports whether a call unregisters without naming an ID.
func unregistersByPointer(info *types.Info, call *ast.CallExpr) bool {
	fn := runtimeFunction(info, call)
	return fn != nil && (fn.Name() == "UnregisterPointer" || fn.Name() == "UnregisterRange")
}

// registrationOf parses a call, nil if it is not a registration.
func registrationOf(info *types.Info, call *ast.CallExpr) *registration {
	fn := runtimeFunction(info, call)
	if fn == nil || !registers(fn.Name()) {
		return nil
	}
	signature := fn.Signature()
	r := &registration{call: call, name: fn.Name(), results: signature.Results().Len(), returns: -1}
	for i := range min(signature.Params().Len(), len(call.Args)) {
		if isID(signature.Params().At(i).Type()) {
			r.id = call.Args[i]
			break
		}
	}
	if r.id == nil {
		return nil
	}
	if value := info.Types[r.id].Value; value != nil {
		r.value, r.known = constant.Uint64Val(constant.ToInt(value))
	}
	r.findOptions(info, signature)
	for i := range r.results {
		if isID(signature.Results().At(i).Type()) {
			r.returns = i
		}
	}
	return r
}

// usedFor reports whether a use of an ID constant can lead to a registration,
// and whether it ends one. Every use counts as a registration unless it is
// certainly none.
func usedFor(n ast.Expr, stack []ast.Node) (register, unregister bool) {
	for i := len(stack) - 1; i >= 0; i-- {
		switch parent := stack[i].(type) {
		case *ast.SelectorExpr:
			if parent.X == n {
				return false, false // a method's receiver: id.String()
			}
			n = parent // the qualified name
		case *ast.ParenExpr:
			n = parent
		case *ast.BinaryExpr:
			return parent.Op != token.EQL && parent.Op != token.NEQ, false
		case *ast.CaseClause:
			return false, false
		case *ast.CallExpr:
			back := slices.Contains(parent.Args, n) && takesBack(parent.Fun)
			return !back, back
		case *ast.AssignStmt:
			return len(parent.Lhs) > 1 || !isBlank(parent.Lhs[0]), false
		case *ast.ValueSpec:
			return len(parent.Names) > 1 || !isBlank(parent.Names[0]), false
		default:
			return true, false
		}
	}
	return true, false
}

// takesBack reports whether a function of this name unregisters.
func takesBack(fun ast.Expr) bool {
	switch fun := fun.(type) {
	case *ast.Ident:
		return strings.HasPrefix(fun.Name, "Unregister")
	case *ast.SelectorExpr:
		return strings.HasPrefix(fun.Sel.Name, "Unregister")
	}
	return false
}

func isBlank(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "_"
}
