package capture

import (
	"errors"
	"fmt"
	"strings"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A region is one that the core is to hold.
type region struct {
	note.Region
	typ   *gotypes.Type // of an element, nil = raw bytes
	count uint64
	root  int // in the walk's roots, -1 = not walked
}

// A plan is what the program's marks ask for.
type plan struct {
	regions    []region
	exclusions []walk.Exclusion
	rules      []string // what each exclusion is called in a receipt
	doubt      bool     // there may be exclusions that are not known
}

// guarded reports whether untyped memory may hold what must not be captured.
func (pl *plan) guarded() bool { return len(pl.exclusions) > 0 || pl.doubt }

// static plans what the tables say: all of it is there before the program is
// stopped. Exclusions that cannot be applied end the capture: what they would
// have covered is not known.
func (t *taking) static(p *program) (plan, error) {
	pl := plan{doubt: p.doubt}
	for i := range p.tables {
		table := p.tables[i]
		for k := range table.Entries {
			pl.regions = append(pl.regions, t.entry(p, table, &table.Entries[k]))
		}
		for k := range table.Exclusions {
			x, err := exclusion(p, &table.Exclusions[k])
			if err != nil {
				return pl, err
			}
			pl.exclusions = append(pl.exclusions, x)
			pl.rules = append(pl.rules, rule(&table.Exclusions[k]))
		}
	}
	if p.content != nil {
		types := embedded.NewTypes(p.content, p.types, p.image.Bias)
		for i := range p.content.Entries {
			if e := &p.content.Entries[i]; e.Included != "" {
				pl.regions = append(pl.regions, t.embeddedEntry(p, types, e))
			}
		}
	}
	for _, name := range t.opts.Include {
		r, err := t.include(p, name)
		if err != nil {
			return pl, err
		}
		pl.regions = append(pl.regions, r)
	}
	return pl, nil
}

// pointed returns the type that a variable's address has in an interface: the
// runtime type at addr is *T, and T is wanted.
func pointed(p *program, addr memory.Address) (*gotypes.Type, error) {
	ptr, err := p.types.At(addr)
	if err != nil {
		return nil, err
	}
	if ptr.Kind != gotypes.Pointer {
		return nil, fmt.Errorf("type at %v: %s is not a pointer", addr, ptr.Name())
	}
	return ptr.Elem()
}

func (t *taking) entry(p *program, table *tables.Table, e *tables.Entry) region {
	r := region{root: -1, count: 1, Region: note.Region{
		ID: e.ID, Addr: uint64(e.Var), Budget: e.Budget, Flags: e.Flags, Depth: e.Depth,
		Name: e.Name, Expr: e.Expr, Package: table.Package, Pos: e.Pos, Note: e.Note,
	}}
	typ, err := pointed(p, e.Type)
	if err != nil {
		// Without its type not even its size is known.
		t.summary.problem("entry "+e.Name, err)
		r.Status = note.Unreadable
		r.Size = e.Bytes
		return r
	}
	r.setType(typ)
	r.Size = typ.Size
	if e.Bytes != 0 {
		r.Size = min(e.Bytes, typ.Size)
	}
	return r
}

// embeddedEntry plans a variable that a list outside of the source named when
// the program was linked.
func (t *taking) embeddedEntry(p *program, types *embedded.Types, e *embedded.Entry) region {
	r := region{root: -1, count: 1, Region: note.Region{
		ID: uint64(e.ID), Addr: uint64(e.Addr + p.image.Bias), Size: e.Size, Budget: e.Budget, Flags: e.Flags,
		Name: e.Name, Expr: e.Expr, Package: e.Package, Pos: e.Pos, Note: e.Note, Kind: anchor.SlotForeign,
	}}
	if e.Depth != nil {
		r.Depth = *e.Depth
		r.Flags |= anchor.EntryHasDepth
	}
	if e.Type < 0 {
		return r
	}
	typ, err := types.At(e.Type)
	if err != nil {
		t.summary.problem("entry "+e.Name, err)
		return r
	}
	r.setType(typ)
	return r
}

// setType gives a region its type. One of which the program has no descriptor
// leads the walk; to readers of the core, which know types by their descriptors,
// it stays bytes with the name of a type.
func (r *region) setType(typ *gotypes.Type) {
	r.typ, r.Type = typ, typ.String()
	if typ.Made {
		return
	}
	r.TypeAddr = uint64(typ.Addr)
	if r.Kind == anchor.SlotForeign {
		r.Kind = 0
	}
}

func exclusion(p *program, e *tables.Exclusion) (walk.Exclusion, error) {
	x := walk.Exclusion{
		Kind: e.Kind, Offset: e.Offset, Size: e.Bytes,
		Package: e.Package, Name: e.TypeName, Field: e.FieldName, Pos: e.Pos,
	}
	if e.Kind == anchor.ExcludeVariable || e.Kind == anchor.ExcludeType || e.Kind == anchor.ExcludeField {
		typ, err := pointed(p, e.Type)
		if err != nil {
			return x, fmt.Errorf("exclusion %s: %w", e.Pos, err)
		}
		x.Type, x.Addr = typ, e.Var
	}
	return x, nil
}

func rule(e *tables.Exclusion) string {
	var b strings.Builder
	if e.Kind == anchor.ExcludeVariable {
		b.WriteString("a variable of ") // tables have no name of it
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

// dynamic plans what the program registered while it ran.
func (t *taking) dynamic(p *program, pl *plan) {
	if p.anchor == 0 {
		return
	}
	root, err := tables.ReadAnchor(t.mem, p.anchor)
	if err != nil {
		pl.doubt = true
		t.summary.problem("anchor", err)
		return
	}
	all, err := tables.Slots(t.mem, root)
	if err != nil {
		pl.doubt = true
		t.summary.problem("regions", err)
	}
	for i := range all {
		slot := &all[i]
		if slot.Kind == anchor.SlotExcluded {
			pl.exclusions = append(pl.exclusions, walk.Exclusion{Addr: slot.Base.Add(slot.Offset), Size: slot.Bytes, Pos: slot.Name})
			pl.rules = append(pl.rules, strings.TrimSpace("marked at run time "+slot.Name))
			continue
		}
		pl.regions = append(pl.regions, t.slot(p, slot))
	}
	rings, err := tables.Rings(t.mem, root)
	if err != nil {
		t.summary.problem("log rings", err)
	}
	for _, ring := range rings {
		if !held(pl.regions, ring.Data) {
			pl.regions = append(pl.regions, region{root: -1, Region: note.Region{
				ID: anchor.IDLog, Addr: uint64(ring.Data.Start), Size: ring.Data.Size(), Kind: anchor.SlotForeign, Name: ring.Name,
			}})
		}
	}
}

func held(regions []region, r memory.Range) bool {
	for i := range regions {
		if regions[i].span().ContainsRange(r) {
			return true
		}
	}
	return false
}

func (t *taking) slot(p *program, s *tables.Slot) region {
	r := region{root: -1, count: 1, Region: note.Region{
		ID: s.ID, Size: s.Bytes, Budget: s.Budget, Order: s.Order,
		Kind: s.Kind, Flags: s.Flags, Depth: s.Depth, Name: s.Name,
	}}
	if r.Name == "" {
		r.Name = p.declared[s.ID]
	}
	if s.Torn {
		r.Status |= note.Torn
	}
	at, err := s.Memory(t.mem)
	switch {
	case err != nil:
		t.summary.problem("region "+s.Name, err)
		r.Status |= note.Unreadable
		return r
	case at.Start == 0: // the value of a weak region was collected
		r.Status |= note.Gone
		return r
	}
	r.Addr = uint64(at.Start)
	if s.Type == 0 || s.Kind == anchor.SlotString || s.Kind == anchor.SlotForeign {
		return r
	}
	typ, err := pointed(p, s.Type)
	if err != nil {
		t.summary.problem("region "+s.Name, err)
		return r
	}
	r.setType(typ)
	if s.Kind == anchor.SlotSlice && typ.Size > 0 {
		r.count = s.Bytes / typ.Size
	}
	return r
}

func (r *region) span() memory.Range { return memory.RangeOf(memory.Address(r.Addr), r.Size) }

// follow walks from the regions and asks the image for what the walk found. It
// reports whether a map was caught in the middle of a write.
func (t *taking) follow(p *program, pl *plan, stopped bool) (writing bool, err error) {
	t.opts.Progress(Progress{Step: "walk"})
	if pl.doubt {
		// Nothing may be taken of which it is not known that no exclusion is
		// about it. One that covers no byte makes the erasure work.
		pl.exclusions = append(pl.exclusions, walk.Exclusion{})
		pl.rules = append(pl.rules, "exclusions that could not be read")
		for i := range pl.regions {
			pl.regions[i].typ, pl.regions[i].root = nil, -1
		}
	}
	cfg := walk.Config{
		Memory: t.mem, Types: p.types, Version: p.prog.Version, Main: p.mainPath(),
		Budget: t.image.left, Exclusions: pl.exclusions, Moving: !stopped, Arena: t.arena, Lacks: t.lacks,
	}
	for _, m := range p.prog.Modules {
		cfg.Text = append(cfg.Text, m.Text)
	}
	for i := range pl.regions {
		r := &pl.regions[i]
		if r.typ == nil || r.Status&(note.Gone|note.Unreadable) != 0 {
			continue
		}
		root := walk.Root{Name: r.Name, Addr: memory.Address(r.Addr), Type: r.typ, Count: r.count, Depth: t.depth(r), Budget: r.Budget}
		if r.Size < r.typ.Size {
			root.Bytes = r.Size
		}
		if root.Budget == 0 {
			root.Budget = t.opts.RegionBudget
		}
		r.root = len(cfg.Roots)
		cfg.Roots = append(cfg.Roots, root)
	}
	res, err := walk.Walk(t.ctx, cfg)
	if err != nil {
		return false, err
	}
	if res.Erasure.Lost > 0 && !pl.doubt {
		t.summary.problem("exclusions", fmt.Errorf("%d values that they may be about are not in the full core: nothing was taken that may hold the same", res.Erasure.Lost))
		pl.doubt = true
		return t.follow(p, pl, stopped)
	}
	t.walked = res
	for i := range pl.regions {
		if r := &pl.regions[i]; r.root < 0 {
			t.wantRaw(r, pl.guarded())
		}
	}
	for _, ranges := range []memory.Ranges{res.Captured, res.Facts} {
		for _, r := range ranges {
			if n := t.image.want(r); n < r.Size() {
				t.summary.problem("regions", errBudget)
			}
		}
	}
	return len(res.Writing) > 0, nil
}

// wantRaw asks for a region without a type. Where something is excluded only
// text is taken: what stands in other bytes is not known.
func (t *taking) wantRaw(r *region, excludes bool) {
	if r.Status&(note.Gone|note.Unreadable) != 0 || r.Size == 0 {
		return
	}
	if excludes && r.Kind != anchor.SlotString && r.ID != anchor.IDLog {
		r.Status |= note.Erased
		t.receipts = append(t.receipts, note.Receipt{Addr: r.Addr, Size: r.Size, ID: r.ID, Reason: note.ReasonUnknownType, Count: 1})
		return
	}
	span := r.span()
	budget := r.Budget
	if budget == 0 {
		budget = t.opts.RegionBudget
	}
	want := memory.RangeOf(span.Start, min(span.Size(), budget))
	n := t.image.want(want)
	if n < span.Size() {
		r.Status |= note.Cut
	}
	t.raw = append(t.raw, memory.RangeOf(span.Start, n))
}

// depth is how many pointers to follow from a region.
func (t *taking) depth(r *region) int {
	switch {
	case r.Flags&anchor.EntryHasDepth != 0:
		return int(r.Depth)
	case t.opts.Depth > 0:
		return t.opts.Depth
	case t.opts.Depth < 0:
		return 0
	}
	return anchor.DefaultDepth
}

var errNoSymbol = errors.New("no such symbol")

// variable returns the symbol of a package-level variable that is named by its
// import path, as source has it or as the symbol table does.
func (p *program) variable(name string) (exe.Symbol, bool) {
	if s, ok := p.names[name]; ok {
		return s, true
	}
	for _, s := range p.names {
		if pkg, expr, ok := s.Variable(); ok && pkg+"."+expr == name {
			return s, true
		}
	}
	return exe.Symbol{}, false
}

// include plans a variable that was named on the command line. What type it
// has is not known without debug information.
func (t *taking) include(p *program, name string) (region, error) {
	s, ok := p.variable(name)
	if !ok {
		why := fmt.Errorf("include %s: %w", name, errNoSymbol)
		if len(p.names) == 0 {
			why = fmt.Errorf("%w: the executable is stripped; name its unstripped twin with --symbols", why)
		}
		return region{}, &inputError{why}
	}
	r := region{root: -1, count: 1, Region: note.Region{
		Addr: uint64(s.Addr + p.image.Bias), Size: s.Size, Name: name, Kind: anchor.SlotForeign,
	}}
	if pkg, expr, ok := s.Variable(); ok {
		r.Package, r.Expr, r.Name = pkg, expr, pkg+"."+expr
	}
	typ, err := p.debugType(s)
	if err != nil {
		t.summary.mention("include "+name, "taken as bytes, not followed: "+err.Error(), "")
		return r, nil
	}
	r.setType(typ)
	return r, nil
}
