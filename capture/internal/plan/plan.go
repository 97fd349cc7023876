// Package plan decides what to read of a program. All of it is known before the
// program is stopped, except for regions registered at run time, which
// [Registered] adds.
package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Make returns the plan for a program. An exclusion that cannot be applied is
// an error, because the memory that it covers is unknown.
func Make(p *locate.Program, opts *model.Options) (*model.Plan, error) {
	pl := &model.Plan{Options: *opts, Steps: steps(opts), Doubt: p.Marks.Doubt}
	for _, table := range p.Marks.Tables {
		for i := range table.Entries {
			pl.Regions = append(pl.Regions, entry(p, table, &table.Entries[i], &pl.Problems))
		}
		for i := range table.Exclusions {
			x, err := exclusion(p, &table.Exclusions[i])
			if err != nil {
				return nil, err
			}
			pl.Exclusions = append(pl.Exclusions, x)
		}
	}
	pl.Regions = append(pl.Regions, embeddedEntries(p, &pl.Problems)...)
	for _, name := range opts.Include {
		r, err := include(p, name, &pl.Problems)
		if err != nil && opts.Lenient {
			pl.Problems.Missing("variable", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		pl.Regions = append(pl.Regions, r)
	}
	return pl, nil
}

// steps returns the order in which the budget is spent.
func steps(opts *model.Options) []model.Step {
	s := []model.Step{model.StepRegions, model.StepTypes}
	if opts.Strict {
		return append(s, model.StepHeaders)
	}
	s = append(s, model.StepLoader, model.StepGoroutines, model.StepRuntime, model.StepStacks)
	if opts.Data {
		s = append(s, model.StepPackageData)
	}
	return append(s, model.StepHeaders)
}

// entry returns the region of a table entry.
func entry(p *locate.Program, table *tables.Table, e *tables.Entry, problems *model.Problems) model.Region {
	r := model.Region{Count: 1, Region: note.Region{
		ID: e.ID, Addr: uint64(e.Var), Budget: e.Budget, Flags: e.Flags, Depth: e.Depth,
		Name: e.Name, Expr: e.Expr, Package: table.Package, Pos: e.Pos, Note: e.Note,
	}}
	typ, err := p.PointedType(e.Type)
	if err != nil {
		// Without its type even its size is unknown.
		problems.Missing("entry "+e.Name, err)
		r.Status = note.Unreadable
		r.Size = e.Bytes
		return r
	}
	setType(&r, typ)
	r.Size = typ.Size
	if e.Bytes != 0 {
		r.Size = min(e.Bytes, typ.Size)
	}
	return r
}

// embeddedEntries returns the regions of variables that a list named when the
// program was linked.
func embeddedEntries(p *locate.Program, problems *model.Problems) []model.Region {
	content := p.Marks.Embedded
	if content == nil {
		return nil
	}
	var regions []model.Region
	types := embedded.NewTypes(content, p.Types.Set, p.Runtime.Home.Image.Bias)
	for i := range content.Entries {
		if e := &content.Entries[i]; e.Included != "" {
			regions = append(regions, embeddedEntry(p, types, e, problems))
		}
	}
	return regions
}

func embeddedEntry(p *locate.Program, types *embedded.Types, e *embedded.Entry, problems *model.Problems) model.Region {
	r := model.Region{Count: 1, Region: note.Region{
		ID: uint64(e.ID), Addr: uint64(e.Addr + p.Runtime.Home.Image.Bias), Size: e.Size, Budget: e.Budget, Flags: e.Flags,
		Name: e.Name, Expr: e.Expr, Package: e.Package, Pos: e.Pos, Note: e.Note, Kind: anchor.SlotForeign,
	}}
	if e.Depth != nil {
		r.Depth = *e.Depth
		r.Flags |= anchor.EntryHasDepth
	}
	if e.Type < 0 {
		r.Status = note.Untyped
		return r
	}
	typ, err := types.At(e.Type)
	if err != nil {
		problems.Missing("entry "+e.Name, err)
		r.Status = note.Untyped
		return r
	}
	setType(&r, typ)
	return r
}

// include returns the region of a variable named on the command line. Only
// debug information has its type.
func include(p *locate.Program, name string, problems *model.Problems) (model.Region, error) {
	s, at, err := p.Symbols.Variable(name)
	if err != nil {
		return model.Region{}, &model.InputError{Err: err}
	}
	r := model.Region{Count: 1, Region: note.Region{
		Addr: uint64(at.Start), Size: s.Size, Name: name, Kind: anchor.SlotForeign,
	}}
	if pkg, expr, ok := s.Variable(); ok {
		r.Package, r.Expr, r.Name = pkg, expr, pkg+"."+expr
	}
	if typ, err := p.DebugType(s); err == nil {
		setType(&r, typ)
	} else {
		problems.Mention("include "+name, "taken as bytes, not followed: "+err.Error(), "")
		r.Status = note.Untyped
	}
	return r, nil
}

// setType sets a region's type. If the program has no descriptor of the type,
// only the walk uses it; for readers of the core, which identify types by their
// descriptors, the region is bytes with a type name.
func setType(r *model.Region, typ *gotypes.Type) {
	r.Elem, r.Type = typ, typ.String()
	if typ.Made {
		return
	}
	r.TypeAddr = uint64(typ.Addr)
	if r.Kind == anchor.SlotForeign {
		r.Kind = 0
	}
}

func exclusion(p *locate.Program, e *tables.Exclusion) (model.Exclusion, error) {
	x := model.Exclusion{Rule: rule(e), Exclusion: walk.Exclusion{
		Kind: e.Kind, Offset: e.Offset, Size: e.Bytes,
		Package: e.Package, Name: e.TypeName, Field: e.FieldName, Pos: e.Pos,
	}}
	if e.Kind == anchor.ExcludeVariable || e.Kind == anchor.ExcludeType || e.Kind == anchor.ExcludeField {
		typ, err := p.PointedType(e.Type)
		if err != nil {
			return x, fmt.Errorf("exclusion %s: %w", e.Pos, err)
		}
		x.Type, x.Addr = typ, e.Var
	}
	return x, nil
}

// rule returns the name of an exclusion in receipts.
func rule(e *tables.Exclusion) string {
	var b strings.Builder
	if e.Kind == anchor.ExcludeVariable {
		b.WriteString("a variable of ") // tables do not record its name
	}
	b.WriteString(e.Package)
	for _, part := range []string{e.TypeName, e.FieldName} {
		if part != "" {
			b.WriteString("." + part)
		}
	}
	if e.Pos != "" {
		b.WriteString(" at " + e.Pos)
	}
	return b.String()
}

// A Registry is what a program has registered at run time.
type Registry struct {
	regions    []model.Region
	exclusions []model.Exclusion
	rings      []tables.Ring
	doubt      bool // there may be more exclusions
	problems   model.Problems
}

// ReadRegistry reads the registry. The result depends only on mem and the parts of the
// program that do not change.
func ReadRegistry(p *locate.Program, mem memory.Memory) *Registry {
	r := new(Registry)
	if p.Marks.Anchor == 0 {
		return r
	}
	root, err := tables.ReadAnchor(mem, p.Marks.Anchor)
	if err != nil {
		r.problems.Missing("anchor", err)
		r.doubt = true
		return r
	}
	all, err := tables.Slots(mem, root)
	if err != nil {
		r.problems.Missing("regions", err)
		r.doubt = true
	}
	for i := range all {
		s := &all[i]
		if s.Kind == anchor.SlotExcluded {
			r.exclusions = append(r.exclusions, model.Exclusion{
				Exclusion: walk.Exclusion{Addr: s.Base.Add(s.Offset), Size: s.Bytes, Pos: s.Name},
				Rule:      strings.TrimSpace("marked at run time " + s.Name),
			})
			continue
		}
		r.regions = append(r.regions, slot(p, s, mem, &r.problems))
	}
	if r.rings, err = tables.Rings(mem, root); err != nil {
		r.problems.Missing("log rings", err)
	}
	return r
}

// AddTo returns the plan with what the program has registered.
func (r *Registry) AddTo(pl *model.Plan) (*model.Plan, model.Problems) {
	if r.doubt {
		pl = pl.WithDoubt()
	}
	pl = pl.With(r.regions, r.exclusions)
	return pl.With(ringRegions(r.rings, pl.Regions), nil), slices.Clip(r.problems)
}

// slot returns the region of a slot of the program's registry.
func slot(p *locate.Program, s *tables.Slot, mem memory.Memory, problems *model.Problems) model.Region {
	r := model.Region{Count: 1, Region: note.Region{
		ID: s.ID, Size: s.Bytes, Budget: s.Budget, Order: s.Order,
		Kind: s.Kind, Flags: s.Flags, Depth: s.Depth, Name: s.Name,
	}}
	if r.Name == "" {
		r.Name = p.Marks.Declared[s.ID]
	}
	if s.Torn {
		r.Status |= note.Torn
	}
	at, err := s.Memory(mem)
	switch {
	case err != nil:
		problems.Missing("region "+s.Name, err)
		r.Status |= note.Unreadable
		return r
	case at.Start == 0: // the object of a weak region was collected
		r.Status |= note.Gone
		return r
	}
	r.Addr = uint64(at.Start)
	if s.Type == 0 || s.Kind == anchor.SlotString || s.Kind == anchor.SlotForeign {
		return r
	}
	typ, err := p.PointedType(s.Type)
	if err != nil {
		problems.Missing("region "+s.Name, err)
		r.Status |= note.Unsupported
		return r
	}
	setType(&r, typ)
	if s.Kind == anchor.SlotSlice && typ.Size > 0 {
		r.Count = s.Bytes / typ.Size
	}
	return r
}

// ringRegions returns the regions of log rings that no other region includes.
func ringRegions(rings []tables.Ring, regions []model.Region) []model.Region {
	var out []model.Region
	for _, ring := range rings {
		if !includes(regions, ring.Data) && !includes(out, ring.Data) {
			out = append(out, model.Region{Region: note.Region{
				ID: anchor.IDLog, Addr: uint64(ring.Data.Start), Size: ring.Data.Size(), Kind: anchor.SlotForeign, Name: ring.Name,
			}})
		}
	}
	return out
}

func includes(regions []model.Region, r memory.Range) bool {
	for i := range regions {
		if regions[i].Range().ContainsRange(r) {
			return true
		}
	}
	return false
}
