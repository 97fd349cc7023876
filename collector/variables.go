package collector

import (
	"fmt"
	"strings"

	"github.com/meminspect/meminspect/target"
)

// runtimePrefixes are the packages whose variables debuggers read to find
// threads and goroutines, and the linker's own symbols.
var runtimePrefixes = []string{"runtime.", "internal/runtime/", "runtime/internal/", "go:"}

// wantRuntime asks for the Go runtime's own variables and for the facts by
// which readers without the executable know the program: the module's data, the
// head of the pc-line table, and the version in the build information.
//
// A program without symbols does not say where its runtime's variables stand;
// none are taken then but those that are found by other means, since what
// stands beside them is the program's own.
func (t *taking) wantRuntime(p *program) {
	for _, m := range p.prog.Modules {
		t.image.want(target.RangeOf(m.Addr, m.Bytes))
		t.image.want(target.RangeOf(m.PCHeader, pcHeaderSize))
	}
	if len(p.names) == 0 {
		t.summary.mention("runtime variables", "the executable has no symbols, so Delve with an unstripped twin of it lacks some",
			"name the twin with --symbols")
		return
	}
	for name, s := range p.names {
		if s.Size == 0 || !isRuntime(name) {
			continue
		}
		r := target.RangeOf(s.Addr+p.image.Bias, s.Size)
		if overlap(p.cover, r) == r.Size() {
			t.image.want(r)
		}
	}
}

// pcHeaderSize is that of runtime.pcHeader.
const pcHeaderSize = 72

func isRuntime(name string) bool {
	for _, prefix := range runtimePrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// wantData asks for all of the program's variables.
func (t *taking) wantData(p *program) {
	for _, m := range p.prog.Modules {
		for _, r := range []target.Range{m.NoPtrData, m.Data, m.BSS, m.NoPtrBSS} {
			if n := t.image.want(r); n < r.Size() {
				t.summary.problem("data", fmt.Errorf("%d of %d bytes at %v: %w", r.Size()-n, r.Size(), r.Start, errBudget))
			}
		}
	}
}

func countText(n int, what string) string {
	if n == 1 {
		what = strings.TrimSuffix(what, "s")
	}
	return fmt.Sprintf("%d %s", n, what)
}
