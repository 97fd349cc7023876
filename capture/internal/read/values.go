package read

import (
	"context"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/walk"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// queueRegions queues the regions and what is reachable from them.
func (r *reading) queueRegions(ctx context.Context) error {
	r.objects = objects{r: r}
	found, results, err := r.walk(ctx)
	if err == nil && !r.plan.Doubt && found.Redactor.Lost+found.Redactor.Unsized > 0 {
		r.snapshot.Problems.Missing("exclusions", r.objects.doubts(found.Redactor))
		r.plan = r.plan.WithDoubt()
		found, results, err = r.walk(ctx)
	}
	if err != nil {
		return err
	}
	for i := range results {
		if results[i].Walk == nil {
			r.queueRaw(&results[i])
		}
	}
	r.queue.left -= min(found.Size(), r.queue.left)
	for _, fact := range found.Facts {
		if r.queue.add(fact) < fact.Size() {
			r.snapshot.Problems.Missing("regions", errBudget)
		}
	}
	r.snapshot.Regions = results
	r.snapshot.Reach = model.Reach{Omissions: found.Omissions, Closures: found.Closures, Faultless: found.Faultless}
	r.found = found
	r.snapshot.Redaction.Redactor, r.snapshot.Redaction.Rules = found.Redactor, rules(r.plan)
	r.snapshot.Changed.Map = len(found.Writing) > 0
	r.snapshot.Functions.InValues = found.Funcs
	return nil
}

// walk follows the regions with a type.
func (r *reading) walk(ctx context.Context) (*walk.Result, []model.Result, error) {
	cfg := walk.Config{
		Memory: r.mem, Types: r.program.Types.Set, Version: r.program.Runtime.Version, Main: r.program.Identity.Main,
		Budget: r.queue.left - r.reserve(), Exclusions: exclusions(r.plan), Moving: !r.held.Still, Arena: r.rehearsal.memory(), Lacks: r.program.Source.Lacks,
	}
	cfg.Object = r.objects.at
	cfg.Starts = r.plan.StackKind() == note.StackSkeleton
	if !r.plan.SaveMemory {
		cfg.Closure = r.program.Closure
	}
	for _, m := range r.program.Runtime.Modules {
		cfg.Text = append(cfg.Text, m.Text)
	}
	n := len(r.plan.Regions)
	results := slices.Grow(r.queue.regions[:0], n)[:n]
	walked := make([]int, 0, n) // indexes of the roots in results
	cfg.Roots = make([]walk.Root, 0, n)
	for i := range results {
		results[i] = model.Result{Region: r.plan.Regions[i]}
		if root, ok := rootOf(&results[i].Region, r.plan); ok {
			cfg.Roots = append(cfg.Roots, root)
			walked = append(walked, i)
		}
	}
	found, err := r.rehearsal.follow(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	for n, i := range walked {
		results[i].Walk = &found.Roots[n]
	}
	return found, results, nil
}

// reserve returns the part of the budget that regions must leave for the ends
// of each goroutine's stack and for the runtime's variables: at most half of
// it.
func (r *reading) reserve() uint64 {
	if r.plan.Strict {
		return 0
	}
	const runtime = 1 << 20
	need := uint64(runtime)
	if list, err := r.program.Runtime.Cells.Read(r.mem); err == nil && r.program.Runtime.CellsErr == nil {
		need += list.Len * (uint64(r.program.Runtime.Goroutine.Size) + innermost + outermost)
	}
	return min(need, r.queue.left/2)
}

// rootOf returns the walk's root for a region, if its type is known and may be
// used.
func rootOf(region *model.Region, pl *model.Plan) (walk.Root, bool) {
	if region.Elem == nil || pl.Doubt || region.Status&(note.Gone|note.Unreadable) != 0 {
		return walk.Root{}, false
	}
	root := walk.Root{
		Name: region.Name, Addr: memory.Address(region.Addr), Type: region.Elem, Count: region.Count,
		Depth: pl.DepthOf(region), Budget: pl.BudgetOf(region),
	}
	if region.Size < region.Elem.Size {
		root.Bytes = region.Size
	}
	return root, true
}

// exclusions returns the plan's exclusions. In doubt there is one more that
// covers nothing: it activates the redactor.
func exclusions(pl *model.Plan) []walk.Exclusion {
	var all []walk.Exclusion
	for i := range pl.Exclusions {
		all = append(all, pl.Exclusions[i].Exclusion)
	}
	if pl.Doubt {
		all = append(all, walk.Exclusion{})
	}
	return all
}

// rules returns the names of exclusions.
func rules(pl *model.Plan) []string {
	var all []string
	for i := range pl.Exclusions {
		all = append(all, pl.Exclusions[i].Rule)
	}
	if pl.Doubt {
		all = append(all, "exclusions that could not be read")
	}
	return all
}

// queueRaw queues a region that was not walked. If the program has exclusions,
// it queues only text: other bytes have no known type.
func (r *reading) queueRaw(region *model.Result) {
	if region.Status&(note.Gone|note.Unreadable) != 0 || region.Size == 0 {
		return
	}
	if r.plan.Guarded() && region.Kind != anchor.SlotString && region.ID != anchor.IDLog {
		region.Refused = true
		return
	}
	own := region.Range()
	r.queue.addTrusted(memory.RangeOf(own.Start, min(own.Size(), r.plan.BudgetOf(&region.Region))))
}

// queueTypes queues what readers without the executable need to identify the
// program: descriptors of the met types, the modules' data, the head of the
// pc-line table, and the version in the build information.
func (r *reading) queueTypes() {
	p := r.program
	constant := model.Constant(r.maps, p.Identity.Data)
	wanted := joined(p.Types.Reads.Seen(), constant)
	for _, m := range p.Runtime.Modules {
		wanted = append(wanted, memory.RangeOf(m.Addr, m.Bytes), memory.RangeOf(m.PCHeader, pcHeaderSize))
	}
	var lacks uint64
	for _, part := range wanted {
		lacks += part.Size() - r.queue.addTrusted(part)
	}
	r.lacks("types", lacks)
	_, _, infos := p.Binary.File.Hints()
	for _, at := range infos {
		// Omit the rest: module paths and build flags belong to the program.
		size := buildInfoHead + 1 + uint64(len(p.Runtime.Version.Text))
		r.queue.addTrusted(memory.RangeOf(at+p.Binary.Image.Bias, size))
	}
}

const (
	pcHeaderSize  = 72 // of runtime.pcHeader
	buildInfoHead = 32 // bytes before the length of the Go version
)

// joined returns sorted ranges including the small gaps between them that are
// in constant memory: the gaps between parts of descriptors are parts of
// others, which the linker made, and a segment for each would cost more.
func joined(ranges, constant memory.Ranges) memory.Ranges {
	var out memory.Ranges
	for _, r := range ranges {
		if n := len(out); n > 0 {
			between := memory.Range{Start: out[n-1].End, End: r.Start}
			if between.Size() <= model.SmallGap && constant.Contains(between) {
				out[n-1].End = r.End
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

// queueRuntime queues the Go runtime's own variables.
//
// Without symbols their addresses are unknown; then only those are captured
// that are found by other means, because their neighbours belong to the
// program.
func (r *reading) queueRuntime() {
	if r.program.Symbols.Empty() {
		r.snapshot.Problems.Mention("runtime variables", "the executable has no symbols, so Delve with an unstripped twin of it lacks some",
			"name the twin with --symbols")
		return
	}
	var lacks uint64
	for _, v := range r.program.Runtime.Variables.Minus(private(r)) {
		lacks += v.Size() - r.queue.addTrusted(v)
	}
	r.lacks("runtime variables", lacks)
}

// private returns the runtime's variables that the core must not have. The last text
// that was printed has no type that shows whether it is secret.
func private(r *reading) memory.Ranges {
	if !r.plan.Guarded() && !r.snapshot.Redaction.Secret {
		return r.program.Runtime.Private
	}
	return r.program.Runtime.Private.Union(r.program.Runtime.Printed)
}

// lacks records that requested bytes do not fit into the budget.
func (r *reading) lacks(what string, bytes uint64) {
	if bytes > 0 {
		r.snapshot.Problems.Missing(what, fmt.Errorf("%d bytes: %w", bytes, errBudget))
	}
}

// queuePackageData queues all of the program's variables, except private ones of the
// runtime. If it is unknown where these are, and they matter, it queues no variables
// of their kind.
func (r *reading) queuePackageData() {
	hidden := private(r)
	for _, m := range r.program.Runtime.Modules {
		if r.snapshot.Redaction.Secret && r.program.Runtime.Printed.Size() == 0 {
			hidden = hidden.Union(memory.RangesOf(m.NoPtrBSS))
			r.snapshot.Problems.Missing("data", fmt.Errorf("%d bytes at %v: the executable has no symbols, so the text that was printed last, which may have values of goroutines under package runtime/secret, cannot be distinguished from other variables: name an unstripped twin with --symbols", m.NoPtrBSS.Size(), m.NoPtrBSS.Start))
		}
		parts := memory.RangesOf(m.NoPtrData, m.Data, m.BSS, m.NoPtrBSS)
		for _, part := range parts.Minus(hidden) {
			if n := r.queue.add(part); n < part.Size() {
				r.snapshot.Problems.Missing("data", fmt.Errorf("%d of %d bytes at %v: %w", part.Size()-n, part.Size(), part.Start, errBudget))
			}
		}
	}
}
