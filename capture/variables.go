package capture

import (
	"fmt"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// runtimePrefixes are the packages whose variables debuggers read to find
// threads and goroutines, and the linker's own symbols.
var runtimePrefixes = []string{"runtime.", "internal/runtime/", "runtime/internal/", "go:"}

// wantKnown asks for memory in which no byte can be one that an exclusion is
// about: the runtime's own, or what is reduced to a skeleton.
func (t *taking) wantKnown(r memory.Range) (granted uint64) {
	n := t.image.want(r)
	if n > 0 {
		t.known = append(t.known, memory.RangeOf(r.Start, n))
	}
	return n
}

// wantFacts asks for what readers without the executable know the program by:
// descriptors of the types that were met, the modules' data, the head of the
// pc-line table, and the version in the build information.
func (t *taking) wantFacts(p *program) {
	for _, r := range closed(p.facts.Seen(), t.constant(p)) {
		t.wantKnown(r)
	}
	for _, m := range p.prog.Modules {
		t.wantKnown(memory.RangeOf(m.Addr, m.Bytes))
		t.wantKnown(memory.RangeOf(m.PCHeader, pcHeaderSize))
	}
	_, _, infos := p.file.Hints()
	for _, at := range infos {
		// Not the rest of it: module paths and build flags are the program's.
		size := buildInfoHead + 1 + uint64(len(p.prog.Version.Text))
		t.wantKnown(memory.RangeOf(at+p.image.Bias, size))
	}
}

// closed returns sorted ranges with the small gaps between them that lie in
// constant memory taken in: between two parts of descriptors stand parts of
// others, which the linker made, and a segment each would be more.
func closed(ranges, constant memory.Ranges) memory.Ranges {
	var out memory.Ranges
	for _, r := range ranges {
		if n := len(out); n > 0 {
			between := memory.Range{Start: out[n-1].End, End: r.Start}
			if between.Size() <= smallGap && constant.Contains(between) {
				out[n-1].End = r.End
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

// buildInfoHead is the size of what stands before the Go version's length.
const buildInfoHead = 32

// wantRuntime asks for the Go runtime's own variables.
//
// A program without symbols does not say where they stand; none are taken then
// but those that are found by other means, since what stands beside them is the
// program's own.
func (t *taking) wantRuntime(p *program) {
	if len(p.names) == 0 {
		t.summary.mention("runtime variables", "the executable has no symbols, so Delve with an unstripped twin of it lacks some",
			"name the twin with --symbols")
		return
	}
	for _, r := range p.runtime {
		t.wantKnown(r)
	}
}

// runtimeVariables returns where the variables of the Go runtime stand that the
// symbols name.
func (p *program) runtimeVariables() memory.Ranges {
	var all []memory.Range
	for name, s := range p.names {
		if s.Size == 0 || !isRuntime(name) {
			continue
		}
		r := memory.RangeOf(s.Addr+p.image.Bias, s.Size)
		if p.cover.Contains(r) {
			all = append(all, r)
		}
	}
	return memory.RangesOf(all...)
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
		for _, r := range []memory.Range{m.NoPtrData, m.Data, m.BSS, m.NoPtrBSS} {
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
