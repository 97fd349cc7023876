package expr

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/nearest"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Scope is the regions of a program by their names.
type Scope struct {
	p       *inspect.Program
	main    string
	regions map[string][]*note.Region
	steps   int // that the evaluation of one path may take
}

// maxSteps bounds the work of a path such as m[*][*][*] of a map that contains itself.
const maxSteps = 1 << 24

// NewScope returns the regions of a program.
func NewScope(p *inspect.Program) *Scope {
	s := &Scope{p: p, regions: map[string][]*note.Region{}, steps: maxSteps}
	if c := p.Core.Capture; c != nil {
		s.main = c.Main
	}
	for i := range p.Core.Regions {
		r := &p.Core.Regions[i]
		for _, name := range value.Names(r, s.main) {
			if list := s.regions[name]; name != "" && !slices.Contains(list, r) {
				s.regions[name] = append(list, r)
			}
		}
	}
	return s
}

// Names returns the names of all regions.
func (s *Scope) Names() []string {
	names := make([]string, 0, len(s.regions))
	for name := range s.regions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// excluded lists the variables that the core lacks because they are excluded.
func (s *Scope) excluded() string {
	var rules []string
	for _, r := range s.p.Core.Receipts {
		if r.Reason == note.ReasonExcluded && strings.HasPrefix(r.Rule, "a variable of ") && !slices.Contains(rules, r.Rule) {
			rules = append(rules, r.Rule)
		}
	}
	return some(rules)
}

// A Result is a value to which a path leads.
type Result struct {
	Path   string // that leads to this one
	Region *note.Region
	place  value.Place
	value  *value.Value // a value without an address, or why there is no value
}

// Read returns the value.
func (r *Result) Read(p *inspect.Program, limits value.Limits) *value.Value {
	if r.value != nil {
		return r.value
	}
	return r.place.Read(p, limits)
}

// Stream is Read for values of any size: see [value.Place.Stream].
func (r *Result) Stream(p *inspect.Program, limits value.Limits) *value.Value {
	if r.value != nil {
		return r.value
	}
	return r.place.Stream(p, limits)
}

// Place returns where the value is, false for one that was computed or that is not
// known.
func (r *Result) Place() (value.Place, bool) { return r.place, r.value == nil }

// Eval evaluates a path. A value that the core does not have is a Result whose value
// is absent. An error, which is an [*Error], ends the sequence; a step that only some
// of the elements of a [*] allow is no error, but a Result without a value.
func (x *Path) Eval(s *Scope) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		e := evaluator{x: x, s: s, p: s.p, left: s.steps}
		some, stopped := false, false
		e.eval(x.root, func(o operand) bool {
			if o.failed != nil && !some {
				e.err = cmpFirst(e.err, o.failed)
			}
			some = some || o.failed == nil
			stopped = !yield(o.Result, nil)
			return !stopped
		})
		if e.err != nil && (!some || e.left < 0) && !stopped {
			yield(Result{}, e.err)
		}
	}
}

func cmpFirst(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// An operand is what a step is applied to.
type operand struct {
	Result
	one    bool  // no [*] led here
	failed error // an error of one of many operands
}

// An evaluator evaluates one path.
type evaluator struct {
	x    *Path
	s    *Scope
	p    *inspect.Program
	left int   // steps that may still be taken
	err  error // that ended the evaluation
}

type visitor func(operand) bool

// eval calls yield with each value of an expression until it returns false.
func (e *evaluator) eval(n ast.Expr, yield visitor) bool {
	switch n := n.(type) {
	case *ast.ParenExpr:
		return e.eval(n.X, yield)
	case *ast.Ident:
		return e.region(n, yield)
	case *ast.SelectorExpr:
		return e.each(n, n.X, yield, func(o operand) bool { return e.field(o, n, yield) })
	case *ast.IndexExpr:
		return e.each(n, n.X, yield, func(o operand) bool { return e.index(o, n, yield) })
	case *ast.SliceExpr:
		return e.each(n, n.X, yield, func(o operand) bool { return e.slice(o, n, yield) })
	case *ast.StarExpr:
		return e.each(n, n.X, yield, func(o operand) bool { return e.follow(o, n, yield) })
	case *ast.TypeAssertExpr:
		return e.each(n, n.X, yield, func(o operand) bool { return e.assert(o, n, yield) })
	case *ast.CallExpr:
		return e.call(n, yield)
	}
	return e.fail(operand{one: true}, n, yield, "want a path: a region, .Field, [key], [2:5], [*], *p, x.(T), len(x) or cap(x)")
}

// each applies a step, which is n, to the values of an expression that are known and
// have a place.
func (e *evaluator) each(n, x ast.Expr, yield, step visitor) bool {
	return e.eval(x, func(o operand) bool {
		e.left--
		switch {
		case e.left < 0:
			o.one = true // it ends the evaluation
			return e.fail(o, n, yield, "it leads to too many values")
		case o.value == nil:
			return step(o)
		case o.value.Absent != "":
			o.Path = e.below(o.Path, n)
			return yield(o)
		}
		return e.fail(o, x, yield, "a number has nothing below it")
	})
}

// below writes the path to which a step leads, as the user wrote it.
func (e *evaluator) below(path string, n ast.Expr) string {
	var x ast.Expr
	switch n := n.(type) {
	case *ast.StarExpr:
		return "(*" + path + ")"
	case *ast.CallExpr:
		return e.x.source(n.Fun) + "(" + path + ")"
	case *ast.SelectorExpr:
		x = n.X
	case *ast.IndexExpr:
		x = n.X
	case *ast.SliceExpr:
		x = n.X
	case *ast.TypeAssertExpr:
		x = n.X
	default:
		return path
	}
	return path + strings.TrimPrefix(e.x.source(n), e.x.source(x))
}

// fail reports an error at a node: of the whole path, or of one operand of many.
func (e *evaluator) fail(o operand, n ast.Node, yield visitor, format string, args ...any) bool {
	err := &Error{e.x.text, e.x.offset(n), fmt.Sprintf(format, args...)}
	if o.one {
		e.err = cmpFirst(e.err, err)
		return false
	}
	o.failed = err
	return yield(o.without(inspect.Missing(err.Msg)))
}

// without returns an operand that has no value, and why.
func (o operand) without(why inspect.Missing) operand {
	o.value = &value.Value{Type: typeName(o.place), Absent: why}
	return o
}

// missed passes on an operand to which a step, n, cannot be applied because of what
// the core does not have, or of a nil. n is nil if the operand itself is missing.
func (e *evaluator) missed(o operand, n ast.Expr, err error, yield visitor) bool {
	why := inspect.Missing(o.Path + " is nil")
	var absent *value.AbsentError
	if errors.As(err, &absent) {
		why = absent.Why
		if n != nil {
			why = inspect.Missing(o.Path+": ") + why
		}
	}
	o.Path = e.below(o.Path, n)
	return yield(o.without(why))
}

// to returns the operand at a place that a step leads to.
func (o operand) to(pl value.Place, step string) operand {
	o.place, o.Path = pl, o.Path+step
	return o
}

// region evaluates the name of a region.
func (e *evaluator) region(n *ast.Ident, yield visitor) bool {
	name := e.x.roots[e.x.offset(n)]
	regions := e.s.regions[name]
	if len(regions) == 0 {
		err := e.x.noRegion(e.x.offset(n), e.s.Names())
		if excluded := e.s.excluded(); excluded != "" {
			err = fmt.Errorf("%w (excluded, without their names: %s)", err, excluded)
		}
		e.err = cmpFirst(e.err, err)
		return false
	}
	for _, r := range regions {
		pl, err := value.PlaceOf(e.p, r)
		o := operand{Result: Result{Path: value.Label(r, e.s.main), Region: r, place: pl}, one: len(regions) == 1}
		if err != nil {
			if !e.missed(o, nil, err, yield) {
				return false
			}
			continue
		}
		if !yield(o) {
			return false
		}
	}
	return true
}

// field selects a field of a struct.
func (e *evaluator) field(o operand, n *ast.SelectorExpr, yield visitor) bool {
	pl, err := o.place.Through(e.p)
	if err != nil {
		return e.missed(o, n, err, yield)
	}
	next, err := pl.Field(e.p, n.Sel.Name)
	switch {
	case errors.Is(err, value.ErrKind):
		return e.fail(o, n.Sel, yield, "%s", noField(pl, n.Sel.Name))
	case err != nil:
		return e.missed(o, n, err, yield)
	}
	return yield(o.to(next, "."+n.Sel.Name))
}

// noField is the message about a field that does not exist.
func noField(pl value.Place, name string) string {
	fields := fieldNames(pl)
	if len(fields) == 0 {
		return fmt.Sprintf("%s has no fields", pl.TypeName())
	}
	msg := fmt.Sprintf("%s has no field %s", pl.TypeName(), name)
	if near, ok := nearest.Word(name, fields); ok {
		return msg + ": did you mean " + near + "?"
	}
	return msg + ": it has " + some(fields)
}

// some lists the first of many words.
func some(words []string) string {
	const most = 12
	if len(words) > most {
		return strings.Join(words[:most], ", ") + fmt.Sprintf(" and %d more", len(words)-most)
	}
	return strings.Join(words, ", ")
}

// fieldNames returns the fields of a struct and those of the structs that it embeds.
func fieldNames(pl value.Place) (names []string) {
	if pl.Form != value.One || pl.Type.Kind != gotypes.Struct {
		return nil
	}
	for i := range pl.Type.Fields {
		if name := pl.Type.Fields[i].Name; name != "_" {
			names = append(names, name)
		}
	}
	return names
}

// index selects an element of a list or the value of a key, or all of them.
func (e *evaluator) index(o operand, n *ast.IndexExpr, yield visitor) bool {
	pl, err := o.place.Through(e.p)
	if err != nil {
		return e.missed(o, n, err, yield)
	}
	id, every := n.Index.(*ast.Ident)
	every = every && id.Name == all
	if pl.IsMap() {
		table, err := pl.Table(e.p)
		switch {
		case err != nil:
			return e.missed(o, n, err, yield)
		case every:
			return e.entries(o, table, yield)
		}
		return e.key(o, table, n.Index, yield)
	}
	list, err := pl.Sequence(e.p)
	switch {
	case errors.Is(err, value.ErrKind):
		return e.fail(o, n.Index, yield, "%s has no elements", pl.TypeName())
	case err != nil:
		return e.missed(o, n, err, yield)
	case every:
		return e.elements(o, &list, yield)
	}
	i, ok := number(n.Index)
	switch {
	case !ok:
		return e.fail(o, n.Index, yield, wantNumber)
	case i >= list.Len:
		return e.fail(o, n.Index, yield, "index %d is out of range: %s has %d elements", i, o.Path, list.Len)
	}
	return yield(o.to(list.Elem(i), "["+strconv.FormatUint(i, 10)+"]"))
}

const wantNumber = "want a number from 0 on, or *"

// number returns the value of an index.
func number(n ast.Expr) (uint64, bool) {
	if lit, ok := n.(*ast.BasicLit); ok && (lit.Kind == token.INT || lit.Kind == token.CHAR) {
		if i, exact := constant.Uint64Val(constant.ToInt(constant.MakeFromLiteral(lit.Value, lit.Kind, 0))); exact {
			return i, true
		}
	}
	return 0, false
}

// elements yields all elements of a list.
func (e *evaluator) elements(o operand, list *value.Sequence, yield visitor) bool {
	o.one = false
	for i := range list.Len {
		if !yield(o.to(list.Elem(i), "["+strconv.FormatUint(i, 10)+"]")) {
			return false
		}
	}
	return true
}

// entries yields the values of all keys, in the order of the keys.
func (e *evaluator) entries(o operand, t *value.Table, yield visitor) bool {
	o.one = false
	t.Sort()
	for i := range t.Len() {
		pl, err := t.ElemAt(i)
		next := o.to(pl, "["+t.KeyText(i)+"]")
		switch {
		case errors.Is(err, value.ErrNil): // the key was deleted
			continue
		case err != nil:
			if !e.missed(next, nil, err, yield) {
				return false
			}
			continue
		}
		if !yield(next) {
			return false
		}
	}
	if t.Lost != "" {
		o.Path += "[*]"
		return yield(o.without("other entries: " + t.Lost))
	}
	return true
}

// key selects the value of a key.
func (e *evaluator) key(o operand, t *value.Table, n ast.Expr, yield visitor) bool {
	want := wanted(e.x, n)
	for i, ok := want.in(t, 0); ok; i, ok = want.in(t, i+1) {
		pl, err := t.ElemAt(i)
		next := o.to(pl, "["+t.KeyText(i)+"]")
		switch {
		case errors.Is(err, value.ErrNil): // the key was deleted
			continue
		case err != nil:
			return e.missed(next, nil, err, yield)
		}
		return yield(next)
	}
	if t.Lost != "" {
		return yield(o.without(inspect.Missing(o.Path+": its other entries are ") + t.Lost))
	}
	return e.fail(o, n, yield, "%s has no key %s%s", o.Path, e.x.source(n), hintOf(t, &want))
}

// slice selects a part of a list.
func (e *evaluator) slice(o operand, n *ast.SliceExpr, yield visitor) bool {
	if n.Slice3 {
		return e.fail(o, n.Max, yield, "want two indexes")
	}
	pl, err := o.place.Through(e.p)
	if err != nil {
		return e.missed(o, n, err, yield)
	}
	list, err := pl.Sequence(e.p)
	switch {
	case errors.Is(err, value.ErrKind):
		return e.fail(o, n, yield, "%s has no elements", pl.TypeName())
	case err != nil:
		return e.missed(o, n, err, yield)
	}
	low, high := uint64(0), list.Len
	for _, bound := range []struct {
		n  ast.Expr
		to *uint64
	}{{n.Low, &low}, {n.High, &high}} {
		if bound.n == nil {
			continue
		}
		var ok bool
		if *bound.to, ok = number(bound.n); !ok {
			return e.fail(o, bound.n, yield, wantNumber)
		}
	}
	if low > high || high > list.Len {
		return e.fail(o, n, yield, "[%d:%d] is out of range: %s has %d elements", low, high, o.Path, list.Len)
	}
	part, ok := list.Slice(low, high)
	if !ok {
		return e.fail(o, n, yield, "the buffer of a channel has no slices: use an index")
	}
	return yield(o.to(part, fmt.Sprintf("[%d:%d]", low, high)))
}

// follow evaluates *p.
func (e *evaluator) follow(o operand, n *ast.StarExpr, yield visitor) bool {
	if !o.place.Leads() {
		return e.fail(o, n, yield, "%s is not a pointer: it is a %s", o.Path, o.place.TypeName())
	}
	pl, err := o.place.Follow(e.p)
	if err != nil {
		return e.missed(o, n, err, yield)
	}
	o.Path = "(*" + o.Path + ")"
	return yield(o.to(pl, ""))
}

// assert evaluates x.(T).
func (e *evaluator) assert(o operand, n *ast.TypeAssertExpr, yield visitor) bool {
	if n.Type == nil {
		return e.fail(o, n, yield, "want a type in parentheses")
	}
	pl := o.place
	for pl.Form == value.One && pl.Leads() && pl.Type.Kind != gotypes.Interface {
		next, err := pl.Follow(e.p)
		if err != nil {
			return e.missed(o, n, err, yield)
		}
		pl = next
	}
	if pl.Form != value.One || pl.Type.Kind != gotypes.Interface {
		return e.fail(o, n, yield, "%s is no interface: it is a %s", o.Path, o.place.TypeName())
	}
	pl, err := pl.Follow(e.p)
	if err != nil {
		return e.missed(o, n, err, yield)
	}
	want := e.x.source(n.Type)
	if got := pl.Type; !sameType(want, got.String(), got.FullName()) {
		return e.fail(o, n.Type, yield, "%s holds %s", o.Path, got)
	}
	return yield(o.to(pl, ".("+compact(want)+")"))
}

// call evaluates len and cap.
func (e *evaluator) call(n *ast.CallExpr, yield visitor) bool {
	f, ok := n.Fun.(*ast.Ident)
	if !ok || f.Name != "len" && f.Name != "cap" || len(n.Args) != 1 {
		return e.fail(operand{one: true}, n, yield, "want len(x) or cap(x)")
	}
	return e.each(n, n.Args[0], yield, func(o operand) bool {
		count, err := e.count(o.place, f.Name == "cap")
		switch {
		case errors.Is(err, value.ErrKind):
			return e.fail(o, n.Args[0], yield, "%s has no %s: it is a %s", o.Path, f.Name, o.place.TypeName())
		case err != nil:
			return e.missed(o, n, err, yield)
		}
		text := strconv.FormatUint(count, 10)
		o.Path = f.Name + "(" + o.Path + ")"
		o.value = &value.Value{Shape: value.Literal, Type: "int", Text: text, JSON: text}
		return yield(o)
	})
}

// count returns the length or the capacity of the value at a place.
func (e *evaluator) count(pl value.Place, capacity bool) (uint64, error) {
	pl, err := pl.Through(e.p)
	if err != nil {
		return 0, err
	}
	if pl.IsMap() && !capacity {
		t, err := pl.Table(e.p)
		if err != nil {
			return 0, err
		}
		return t.Count, nil
	}
	list, err := pl.Sequence(e.p)
	if capacity {
		if pl.Form == value.Chars || pl.Form == value.One && pl.Type.Kind == gotypes.String {
			return 0, value.ErrKind
		}
		return list.Cap, err
	}
	return list.Len, err
}

// typeName returns the type at a place, "" if it has no type.
func typeName(pl value.Place) string {
	if pl.Form == value.One && pl.Type == nil {
		return ""
	}
	return pl.TypeName()
}
