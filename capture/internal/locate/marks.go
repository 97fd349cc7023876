package locate

import (
	"errors"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/internal/gocore/tables"
)

// Marks are the program's annotations, registrations and exclusions.
type Marks struct {
	Anchor   memory.Address    // 0 if the program has none
	Tables   []*tables.Table   // of generated code
	Embedded *embedded.Content // by the linker step, nil if there is none
	Declared map[uint64]string // names of the declared IDs

	// Doubt is set if a table or the anchor could not be read, so that its
	// exclusions are unknown.
	Doubt bool
}

// excludes reports whether a table has exclusions.
func (m *Marks) excludes() bool {
	return slices.ContainsFunc(m.Tables, func(t *tables.Table) bool { return len(t.Exclusions) > 0 })
}

// errNoAnchor reports a program that does not embed the runtime, or whose
// linker dropped it as unused.
var errNoAnchor = errors.New("the program does not import the meminspect runtime, or nothing in it is annotated or registered")

// errNoData reports a full core that lacks some of the variables.
var errNoData = errors.New("the full core lacks some of the program's data: annotations and exclusions in the missing part cannot be read")

// findMarks finds the anchor and all tables, also those of packages that are
// not initialised yet, in the initialised data of every module, where linkers
// put them: the heap may contain a copy. included is set if variables are
// selected by name, so that a program without an anchor is not an error.
func (p *Program) findMarks(included bool) {
	var data memory.Spliced
	for _, m := range p.Runtime.Modules {
		for _, part := range []memory.Range{m.NoPtrData, m.Data} {
			data.Put(memory.Segment{Range: part, Write: true}, p.Binary.Memory)
		}
	}
	found := tables.FindIn(&data, p.Binary.Memory)
	for _, err := range found.Problems {
		p.Problems.Missing("tables", err)
	}
	p.findOtherRuntimes()
	marks := &p.Marks
	marks.Tables, marks.Doubt = found.Tables, len(found.Problems) > 0
	marks.Declared = map[uint64]string{}
	for _, table := range found.Tables {
		for _, d := range table.Declared {
			marks.Declared[d.ID] = d.Name
		}
	}
	for _, part := range data.Segments() {
		if p.Source.Lacks(part.Range) {
			marks.Doubt = true
			p.Problems.Missing("tables", errNoData)
			break
		}
	}
	switch {
	case len(found.Anchors) > 0:
		marks.Anchor = found.Anchors[0].Addr
	case !marks.Doubt && !included:
		p.Problems.Mention("regions", errNoAnchor.Error(), "if its source has annotations, run `meminspect generate` and build it again")
	}
}
