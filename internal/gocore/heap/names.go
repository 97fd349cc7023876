package heap

import (
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// Variables returns the variables of a program as [Target.Extract] takes them: by
// address and without overlaps. An annotated entry takes its memory from the symbol
// that it is a part of. What is not in the program's data is left out.
func Variables(prog *module.Program, entries, symbols []Named) []Named {
	var data []memory.Range
	for _, m := range prog.Modules {
		data = append(data, m.Data, m.BSS, m.NoPtrData, m.NoPtrBSS)
	}
	inData := func(n Named) bool {
		return !n.Empty() && slices.ContainsFunc(data, func(r memory.Range) bool { return r.ContainsRange(n.Range) })
	}
	byStart := func(a, b Named) int { return a.Start.Compare(b.Start) }
	var out []Named
	for _, n := range slices.SortedStableFunc(slices.Values(entries), byStart) {
		n.Entry = true
		if last := len(out) - 1; inData(n) && (last < 0 || out[last].End <= n.Start) {
			out = append(out, n)
		}
	}
	taken := slices.Clone(out)
	end := memory.Address(0)
	for _, n := range slices.SortedStableFunc(slices.Values(symbols), byStart) {
		if !inData(n) || n.Start < end || strings.Contains(n.Name, literalName) {
			continue
		}
		end = n.End
		out = append(out, without(n, taken)...)
	}
	slices.SortFunc(out, byStart)
	return out
}

// literalName is in the names of composite literals in the data. Only programs that were
// linked by the system's linker have them among their symbols.
const literalName = "..stmp_"

// without returns the parts of a variable that no entry takes, which are sorted.
func without(n Named, entries []Named) []Named {
	at, _ := slices.BinarySearchFunc(entries, n.Start, func(e Named, a memory.Address) int {
		if e.End <= a {
			return -1
		}
		return 1
	})
	var parts []Named
	rest := n
	for ; at < len(entries) && entries[at].Start < n.End; at++ {
		e := &entries[at]
		if rest.Start < e.Start {
			part := rest
			part.End, part.Type = e.Start, 0
			parts = append(parts, part)
		}
		rest.Start, rest.Type = max(rest.Start, e.End), 0
	}
	if !rest.Empty() {
		parts = append(parts, rest)
	}
	return parts
}
