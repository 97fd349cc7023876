package suggest

import (
	"fmt"
	"go/types"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/secret"
)

// minScore is the score that a proposal needs.
const minScore = 34

// activity sums up the uses of a variable after initialization.
type activity struct {
	changes, liveChanges, repeatedChanges int
	lockedChanges                         int
	liveReads                             int
	counts, flag                          bool
	changers, users                       map[*function]bool
}

func (p *program) activity(object *types.Var) activity {
	a := activity{changers: map[*function]bool{}, users: map[*function]bool{}}
	v := p.vars[object]
	if v == nil {
		return a
	}
	for i := range v.uses {
		u := &v.uses[i]
		a.flag = a.flag || u.flag
		if u.fn.initial {
			continue
		}
		a.users[u.fn] = true
		if !p.changes(u) {
			if u.live() {
				a.liveReads++
			}
			continue
		}
		a.changes++
		a.changers[u.fn] = true
		a.counts = a.counts || u.counts || u.method != nil && strings.HasPrefix(u.method.Name(), "Add")
		if u.live() {
			a.liveChanges++
		}
		if u.repeated() {
			a.repeatedChanges++
		}
		if u.fn.locks {
			a.lockedChanges++
		}
	}
	return a
}

// global returns the proposal for a package-level variable, or its exclusion if
// it is a secret. Both are nil for other variables.
func (p *program) global(d *declaration) (*Proposal, *Exclusion) {
	t, pkg := d.object.Type(), d.file.pkg
	if p.done.excluded(d.key()) || supporting(relative(pkg)) {
		return nil, nil
	}
	a, k := p.activity(d.object), p.kindOf(t, d.name)
	if why := p.secretVariable(d, k); why != "" {
		return nil, p.exclusion(d, why)
	}
	if k.noun == "lock" && len(a.users) > 1 {
		a.changes = len(a.users)
	}
	if k == noKind || a.changes == 0 && !a.flag {
		return nil, nil
	}
	exclude, why, ok := p.protect(pkg.PkgPath, d.name, t)
	if !ok {
		return nil, p.exclusion(d, why)
	}
	if a.counts && k.noun == "number" {
		k = kind{"counter", 36, false}
	}
	return &Proposal{
		Action: Entry, Package: pkg.PkgPath, Name: d.name, Type: shortType(t, pkg.Types),
		Pos: p.fset.Position(d.object.Pos()), Reason: a.reason(k, d), Forecast: p.forecast(t),
		Done: p.annotated(d), score: a.score(k, d), at: d, exclude: exclude,
	}, nil
}

// secretVariable returns why a package-level variable is a secret, "" if it does
// not look like one.
func (p *program) secretVariable(d *declaration, k kind) string {
	if why := p.secrets[d.object]; why != "" {
		return why
	}
	if unparsed(d.name, d.object.Type()) && p.activity(d.object).changes > 0 {
		return unparsedReason
	}
	for _, s := range p.secretsIn(d.file.pkg.PkgPath, d.name, d.object.Type()) {
		if s.Field() == nil {
			return s.Why
		}
	}
	// The name of a container or of a value with an unknown type may be right.
	if word := secret.Word(d.name, secret.Use{Container: true}); word != "" && (k.content || isAny(d.object.Type())) {
		return fmt.Sprintf("its name contains %q", word)
	}
	return ""
}

// score ranks a variable: by its kind, and by how the program uses it.
func (a *activity) score(k kind, d *declaration) int {
	uses := min(8, len(a.users))
	if a.liveChanges > 0 {
		uses += 12
	}
	if a.repeatedChanges > 0 {
		uses += 6
	}
	if a.lockedChanges > 0 {
		uses += 8
	}
	if a.liveReads > 0 {
		uses += 6
	}
	if !k.content {
		uses /= 2 // one number shows little of a program's state
	}
	score := k.weight + uses
	if a.liveChanges == 0 && k.growing() || a.repeatedChanges == 0 && a.prepared() {
		score -= 16 // filled once, and then a table
	}
	if hasWord(d.name, stateWords...) {
		score += 8
	}
	return score
}

// preparing begins the names of functions that a service calls while it starts,
// also from packages that are not loaded.
var preparing = []string{"configure", "deregister", "enable", "init", "load", "new", "parse", "register", "set", "setup", "unregister", "with"}

// prepared reports whether only such functions change the variable.
func (a *activity) prepared() bool {
	for fn := range a.changers {
		if words := secret.Words(fn.name); len(words) == 0 || !slices.Contains(preparing, words[0]) {
			return false
		}
	}
	return len(a.changers) > 0
}

// reason describes the variable and its uses in a line.
func (a *activity) reason(k kind, d *declaration) string {
	noun, words := k.noun, []string{"cache", "queue", "pool", "breaker", "limiter"}
	if !k.content {
		words = nil
	}
	for _, word := range words {
		if hasWord(d.name, word) || hasWord(shortName(namedOf(d.object.Type())), word) {
			if noun = word; k.growing() {
				noun = fmt.Sprintf("%s (a %s)", word, k.noun)
			}
			break
		}
	}
	if k.noun == "lock" {
		return fmt.Sprintf("lock that %s use; waits names it in a core of a hang", plural(len(a.users), "function"))
	}
	var b strings.Builder
	b.WriteString(noun)
	switch {
	case a.changes == 0:
		b.WriteString(" that a command-line flag sets")
	case a.repeatedChanges > 0:
		fmt.Fprintf(&b, " that %s in requests or loops", changedBy(a))
	case a.liveChanges > 0:
		fmt.Fprintf(&b, " that %s while the program runs", changedBy(a))
	default:
		fmt.Fprintf(&b, " that %s after initialization", changedBy(a))
	}
	if a.lockedChanges > 0 {
		b.WriteString(", under a lock")
	}
	if a.liveReads > 0 {
		fmt.Fprintf(&b, "; read in %s while the program runs", plural(a.liveReads, "place"))
	}
	return b.String()
}

func changedBy(a *activity) string {
	if len(a.changers) == 1 {
		for fn := range a.changers {
			if fn.object != nil {
				return fn.name + " changes"
			}
		}
		return "1 function changes"
	}
	return fmt.Sprintf("%d functions change", len(a.changers))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// supporting reports whether a package, by its folder in the module, is not part
// of a service: tests, examples, tools.
func supporting(folder string) bool {
	return slices.ContainsFunc(strings.Split(folder, "/"), func(element string) bool {
		return slices.Contains([]string{
			"bench", "benchmark", "benchmarks", "contrib", "e2e", "example", "examples", "fake", "fakes", "hack", "integration",
			"mock", "mocks", "scripts", "third_party", "tool", "tools",
		}, element) || strings.HasPrefix(element, "test") || strings.HasSuffix(element, "test")
	})
}
