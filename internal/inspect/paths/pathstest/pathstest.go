// Package pathstest checks that paths which are printed lead to what they are printed with.
package pathstest

import (
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/diff"
	"github.com/meminspect/meminspect/internal/inspect/expr"
	"github.com/meminspect/meminspect/internal/inspect/paths"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

// maxElements is how many elements of a list or a map are checked.
const maxElements = 40

// Check checks the paths of all values of a program, and that the program does not differ
// from itself. It returns how many paths lead through a key of a map.
func Check(tb testing.TB, p *inspect.Program) (keys int) {
	tb.Helper()
	scope := expr.NewScope(p)
	limits := value.Limits{Elements: maxElements, Depth: 8, Values: 50_000}
	paths.All(p, limits, func(path *paths.Path, v *value.Value) bool {
		if path.Key() == nil || path.Key().Absent != "" {
			return true
		}
		keys++
		checkPath(tb, p, scope, path.String(), v)
		return !tb.Failed()
	}, tb.Failed)
	for i := range p.Core.Regions {
		if r := &p.Core.Regions[i]; value.OfProgram(r) {
			checkEvery(tb, p, scope, value.Label(r, p.Core.MainPath()))
		}
	}
	result := diff.Programs(p, p, value.Limits{Elements: -1})
	for _, c := range result.Changes {
		tb.Errorf("%s %s differs from itself", c.Kind, c.Path)
	}
	return keys
}

// checkPath checks that a path leads to a value of the same type. Several entries may have
// the path, since different keys may look the same: pointers to equal values.
func checkPath(tb testing.TB, p *inspect.Program, scope *expr.Scope, text string, want *value.Value) {
	tb.Helper()
	if len(text) > 4096 || lacks(text) {
		return
	}
	x, err := expr.Parse(text, scope.Names())
	if err != nil {
		tb.Errorf("%s: %v", text, err)
		return
	}
	found, others := 0, []string(nil)
	for r, err := range x.Eval(scope) {
		if err != nil {
			tb.Errorf("%s: %v", text, err)
			return
		}
		found++
		pl, ok := r.Place()
		if _, method := pl.Receiver(p); ok && want != nil && pl.TypeName() != want.Type && !pl.Leads() && !method {
			others = append(others, pl.TypeName())
		}
		if r.Path != text && want != nil && strings.HasSuffix(text, "]") {
			tb.Errorf("%s is printed as %s", text, r.Path)
		}
	}
	switch {
	case found == 0:
		tb.Errorf("%s leads to nothing", text)
	case len(others) == found:
		tb.Errorf("%s leads to a %s, want a %s", text, strings.Join(others, ", a "), want.Type)
	}
}

// lacks reports whether the core lacks a part of a path's keys, so that several entries
// may have the path.
func lacks(path string) bool { return strings.Contains(path, " */ _") }

// checkEvery checks the paths to the elements of a region.
func checkEvery(tb testing.TB, p *inspect.Program, scope *expr.Scope, region string) {
	tb.Helper()
	x, err := expr.Parse(region+"[*]", scope.Names())
	if err != nil {
		return
	}
	checked := 0
	for r, err := range x.Eval(scope) {
		if checked++; err != nil || checked > maxElements || strings.HasSuffix(r.Path, "[*]") {
			return
		}
		if lacks(r.Path) {
			continue
		}
		checkPath(tb, p, scope, r.Path, nil)
		want, _ := r.Place()
		if again, err := expr.Parse(r.Path, scope.Names()); err == nil && !strings.Contains(r.Path, "NaN") { // two NaN have one path
			for other, err := range again.Eval(scope) {
				if pl, _ := other.Place(); err != nil || pl != want {
					tb.Errorf("%s leads to %v, want %v", r.Path, pl, want)
				}
			}
		}
	}
}
