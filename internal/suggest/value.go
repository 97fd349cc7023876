package suggest

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"strings"
	"unicode"
)

// structs returns proposals to register values of struct types that the program
// creates once and keeps.
func (p *program) structs() []*Proposal {
	var list []*Proposal
	for _, t := range p.types {
		if proposal := p.structProposal(t); proposal != nil {
			list = append(list, proposal)
		}
	}
	return list
}

func (p *program) structProposal(t *structType) *Proposal {
	pkg := t.file.pkg
	named := t.object.Type().(*types.Named)
	at := t.creation()
	if at == nil || hasWord(t.object.Name(), "dummy", "fake", "logger", "mock", "stub") || supporting(relative(pkg)) || p.done.excluded(pkg.PkgPath+"."+t.object.Name()) {
		return nil
	}
	state := p.growing(named)
	if state == 0 || t.many || !t.locks() && !t.spawns() && !t.lives() {
		return nil
	}
	exclude, _, ok := p.protect(pkg.PkgPath, t.object.Name(), named)
	if !ok {
		return nil
	}
	return &Proposal{
		Action: Register, Package: pkg.PkgPath, Name: t.object.Name(), Type: "*" + t.object.Name(),
		Pos: p.fset.Position(at.pos), Reason: t.reason(state), Forecast: p.forecast(named), Code: p.code(t, at),
		Done: t.registered, score: t.score(state, at), exclude: exclude, of: t.object,
	}
}

// creation returns the place where the program creates the value: the first one
// in a function of the type's own package, which is usually its constructor.
func (t *structType) creation() *creation {
	list := slices.Clone(t.created)
	list = slices.DeleteFunc(list, func(c creation) bool { return c.fn.initial || c.stmt == nil })
	slices.SortStableFunc(list, func(a, b creation) int {
		return cmp.Or(compareBools(a.loop, b.loop), compareBools(a.file.pkg != t.file.pkg, b.file.pkg != t.file.pkg),
			compareBools(a.name == "", b.name == ""))
	})
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// lifecycle are methods of values that live as long as the program.
var lifecycle = []string{"Start", "Run", "Serve", "ListenAndServe", "Stop", "Shutdown", "Close", "Open", "ServeHTTP", "Loop", "run", "start", "stop", "loop"}

// centralWords in a type's name show that its value is one that a reader starts
// from.
var centralWords = []string{
	"app", "balancer", "breaker", "broker", "cache", "cluster", "controller", "coordinator", "daemon", "dispatcher", "engine", "hub",
	"limiter", "manager", "monitor", "node", "pool", "proxy", "queue", "raft", "registry", "router", "scheduler", "server",
	"service", "store", "supervisor", "tracker",
}

// shortLived in a type's name show that there is a value for each request or
// connection.
var shortLived = []string{
	"batch", "buffer", "builder", "call", "client", "conn", "context", "decoder", "encoder", "entry", "event", "iterator", "item", "lexer",
	"message", "msg", "parser", "reader", "record", "request", "response", "result", "scanner", "session", "stream",
	"token", "transaction", "tx", "txn", "visitor", "writer",
}

// score ranks a struct type: by its state, and by how long its values live.
func (t *structType) score(state int, at *creation) int {
	score := 22 + 4*min(state, 7)
	if t.locks() {
		score += 6
	}
	if t.spawns() {
		score += 8
	}
	if t.lives() {
		score += 6
	}
	if hasWord(t.object.Name(), centralWords...) {
		score += 10
	}
	if hasWord(t.object.Name(), shortLived...) {
		score -= 24
	}
	if at.repeated() {
		score -= 16
	}
	if isConfig(t.object.Name()) {
		score -= 20
	}
	switch n := len(t.created); {
	case n == 1:
		score += 6
	case n > 2:
		score -= 6
	}
	return score
}

func (t *structType) locks() bool {
	return slices.ContainsFunc(t.methods, func(m *function) bool { return m.locks })
}

func (t *structType) spawns() bool {
	return slices.ContainsFunc(t.methods, func(m *function) bool { return m.spawns })
}

func (t *structType) lives() bool {
	return slices.ContainsFunc(t.methods, func(m *function) bool { return slices.Contains(lifecycle, m.name) })
}

func (t *structType) reason(state int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s that its methods change", plural(state, "field"))
	if t.locks() {
		b.WriteString(", under a lock")
	}
	if t.spawns() {
		b.WriteString("; it starts goroutines")
	}
	if n := len(t.created); n > 1 {
		fmt.Fprintf(&b, "; created in %d places", n)
	}
	return b.String()
}

// code returns the lines that register a value: the line that declares its ID,
// and the call to add after the statement that creates it.
func (p *program) code(t *structType, at *creation) []string {
	name := at.name
	var lines []string
	if name == "" {
		runes := []rune(t.object.Name())
		runes[0] = unicode.ToLower(runes[0])
		name = string(runes)
		if _, ok := at.stmt.(*ast.ReturnStmt); ok {
			lines = append(lines, fmt.Sprintf("%s := %s // and return it after the next line", name, "&"+t.object.Name()+"{…}"))
		}
	}
	id := "ID" + t.object.Name()
	if !t.object.Exported() {
		runes := []rune(t.object.Name())
		runes[0] = unicode.ToUpper(runes[0])
		id = "id" + string(runes)
	}
	lines = append(lines, fmt.Sprintf("meminspect.Register(%s, %s)", id, name))
	return append([]string{"//meminspect:id " + t.object.Name()}, lines...)
}

// covered drops proposals to register what another proposal leads to: what it
// contains, and what a better one leads to through pointers.
func (p *program) covered(list []*Proposal) {
	slices.SortFunc(list, better)
	parts, led := map[*types.TypeName]bool{}, map[*types.TypeName]bool{}
	for _, proposal := range list {
		if proposal.score >= minScore {
			p.leads(proposal, parts, 0)
		}
	}
	for _, proposal := range list {
		switch {
		case proposal.Action == Register && (parts[proposal.of] || led[proposal.of]):
			proposal.score = 0
		case proposal.score >= minScore:
			p.leads(proposal, led, 2)
		}
	}
}

// leads records the struct types that a proposal leads to within depth pointers,
// without its own.
func (p *program) leads(proposal *Proposal, led map[*types.TypeName]bool, depth int) {
	if proposal.Action == Entry {
		p.lead(led, proposal.at.object.Type(), depth)
		return
	}
	for field := range proposal.of.Type().Underlying().(*types.Struct).Fields() {
		p.lead(led, field.Type(), depth)
	}
}

// lead records the struct types that a value leads to within depth pointers.
func (p *program) lead(led map[*types.TypeName]bool, t types.Type, depth int) {
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		if depth == 0 {
			return
		}
		t, depth = pointer.Elem(), depth-1
	}
	structure, ok := t.Underlying().(*types.Struct)
	if !ok {
		return
	}
	if named := namedOf(t); named != nil && p.types[named.Obj()] != nil {
		led[named.Obj()] = true
	}
	for field := range structure.Fields() {
		p.lead(led, field.Type(), depth)
	}
}
