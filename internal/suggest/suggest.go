// Package suggest proposes what to annotate, register and exclude in a module.
//
// It looks for state: package-level variables that the program changes after its
// initialization, and values of struct types that the program creates once and
// keeps. Its proposals are estimates from syntax and types. Uses in packages that
// are not loaded are not counted.
package suggest

import (
	"cmp"
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/secret"
)

// An Action is what a proposal asks for.
type Action string

const (
	// Entry is an entry line above a package-level variable.
	Entry Action = "entry"
	// Register is a call at the place where the program creates a value.
	Register Action = "register"
)

// A Proposal is a variable or a value to capture.
type Proposal struct {
	Action  Action
	Package string // import path
	Name    string // the variable, or the type of the value
	Type    string
	Pos     token.Position // of the variable, or of the place where the value is created
	Reason  string
	Forecast
	Code []string // of Register: the lines to add
	Done bool     // the annotation or the registration exists

	Written    bool   // [Result.Write] inserted the annotation
	NotWritten string // why it could not

	score   int
	at      *declaration    // of Entry
	of      *types.TypeName // of Register
	exclude []*Exclusion    // what to exclude with it
}

// An Exclusion is a variable or field that looks like a secret.
type Exclusion struct {
	Package string
	Name    string // the variable, or Type.Field
	Pos     token.Position
	Reason  string

	Written    bool   // [Result.Write] inserted the annotation
	NotWritten string // why it could not

	at *declaration
}

// A Result has what [Find] proposes.
type Result struct {
	Proposals  []*Proposal  // the best first
	Exclusions []*Exclusion // by position; those that exist are left out

	program *program
	others  []*Exclusion // package-level secrets, which no proposal leads to
}

// Find returns proposals for packages that were loaded by [Load].
func Find(pkgs []*packages.Package) *Result {
	p := newProgram(pkgs)
	r := &Result{program: p, Proposals: p.structs()}
	for _, d := range p.globals {
		if proposal, exclusion := p.global(d); exclusion != nil {
			r.others = append(r.others, exclusion)
		} else if proposal != nil {
			r.Proposals = append(r.Proposals, proposal)
		}
	}
	p.covered(r.Proposals)
	r.Proposals = slices.DeleteFunc(r.Proposals, func(p *Proposal) bool { return p.score < minScore })
	slices.SortFunc(r.Proposals, better)
	r.collectExclusions()
	return r
}

// better orders proposals by their scores.
func better(a, b *Proposal) int {
	return cmp.Or(cmp.Compare(b.score, a.score), comparePositions(a.Pos, b.Pos), strings.Compare(a.Name, b.Name))
}

// Top keeps the best n proposals, and the exclusions that go with them. It
// returns how many proposals it dropped.
func (r *Result) Top(n int) int {
	dropped := max(0, len(r.Proposals)-n)
	r.Proposals = r.Proposals[:len(r.Proposals)-dropped]
	r.collectExclusions()
	return dropped
}

// collectExclusions lists the exclusions of all proposals, each once.
func (r *Result) collectExclusions() {
	seen := map[*declaration]bool{}
	r.Exclusions = nil
	add := func(list []*Exclusion) {
		for _, e := range list {
			if !seen[e.at] {
				seen[e.at] = true
				r.Exclusions = append(r.Exclusions, e)
			}
		}
	}
	for _, proposal := range r.Proposals {
		add(proposal.exclude)
	}
	add(r.others)
	slices.SortFunc(r.Exclusions, func(a, b *Exclusion) int { return comparePositions(a.Pos, b.Pos) })
}

func comparePositions(a, b token.Position) int {
	return cmp.Or(strings.Compare(a.Filename, b.Filename), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// protect returns the exclusions that a captured value needs. ok is false if
// only an exclusion of the whole value helps; then why has the reason.
func (p *program) protect(pkg, name string, t types.Type) (list []*Exclusion, why string, ok bool) {
	for _, s := range p.secretsIn(pkg, name, t) {
		d := p.exclusionOf(&s)
		if d == nil {
			if s.Field() == nil {
				return nil, s.Why, false
			}
			return nil, fmt.Sprintf("it leads to %s: %s", s.Expr, s.Why), false
		}
		list = append(list, p.exclusion(d, whyExcluded(d, &s)))
	}
	return list, "", true
}

// whyExcluded returns the reason to exclude a field that is the secret or leads to
// it.
func whyExcluded(d *declaration, s *secret.Secret) string {
	i := slices.IndexFunc(s.Fields, func(f *types.Var) bool { return f.Origin() == d.object })
	if i == len(s.Fields)-1 {
		return s.Why
	}
	names := make([]string, 0, len(s.Fields)-i)
	for _, field := range s.Fields[i:] {
		names = append(names, field.Name())
	}
	return fmt.Sprintf("it leads to %s: %s", strings.Join(names, "."), s.Why)
}

func (p *program) exclusion(d *declaration, reason string) *Exclusion {
	return &Exclusion{
		Package: d.file.pkg.PkgPath, Name: d.name, Pos: p.fset.Position(d.object.Pos()), Reason: reason, at: d,
	}
}

// annotated reports whether a variable is an entry or an area already.
func (p *program) annotated(d *declaration) bool {
	kind, ok := p.done[d.key()]
	return ok && kind != annotate.Exclude
}

// shortType returns a type as source in its package has it.
func shortType(t types.Type, pkg *types.Package) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p == pkg {
			return ""
		}
		return p.Name()
	})
}
