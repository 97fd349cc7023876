package page

import (
	"cmp"
	"slices"
	"time"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/diff"
	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/inspect/waits"
)

// The types below are the JSON in a page. web/src/model.ts has the same types, and the two
// change together: the file is no interface for other programs. Strings that repeat are
// in a table, and are written as their index in it.

// A document is all that a page shows.
type document struct {
	Cores   []core       `json:"cores"`
	Diffs   []comparison `json:"diffs"` // of each core with the one that follows
	Strings []string     `json:"strings"`
}

// A core is what a page shows of one.
type core struct {
	Path       string      `json:"path"`
	Title      string      `json:"title"`
	Facts      [][2]string `json:"facts"`
	Captured   int64       `json:"captured"` // milliseconds since 1970, 0 if it is not known
	Failed     *failed     `json:"failed,omitempty"`
	Summary    [][2]string `json:"summary"`
	Gaps       []string    `json:"gaps"`
	Warnings   []string    `json:"warnings"`
	Frames     [][3]int    `json:"frames"` // function, file and line
	Stacks     []stack     `json:"stacks"`
	Goroutines []goroutine `json:"goroutines"`
	Groups     []group     `json:"groups"`
	Waits      []object    `json:"waits"`
	Deadlocks  []deadlock  `json:"deadlocks"`
	Regions    []region    `json:"regions"`
	Memory     []segment   `json:"memory"`
	Heap       *heap       `json:"heap,omitempty"`
	Log        []record    `json:"log"`
}

// A failed is the goroutine that ended the program.
type failed struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Calls   []call `json:"calls"`
	Problem string `json:"problem,omitempty"`
}

type call struct {
	Frame   int      `json:"frame"`
	Library bool     `json:"library,omitempty"`
	Source  string   `json:"source,omitempty"`
	Objects []string `json:"objects,omitempty"` // paths
	After   []string `json:"after,omitempty"`   // what follows and is left out
}

// A builder builds a document.
type builder struct {
	strings map[string]int
	table   []string
}

func documentOf(programs []*inspect.Program) *document {
	b := builder{strings: map[string]int{}}
	doc := &document{Cores: []core{}, Diffs: []comparison{}}
	var lists [][]stacks.Goroutine
	for _, p := range programs {
		c, list := b.core(p)
		doc.Cores = append(doc.Cores, c)
		lists = append(lists, list)
	}
	for i := 1; i < len(programs); i++ {
		doc.Diffs = append(doc.Diffs, b.compare(programs[i-1], programs[i], lists[i-1], lists[i]))
	}
	doc.Strings = b.table
	return doc
}

// index returns the index of a text in the table.
func (b *builder) index(text string) int {
	i, ok := b.strings[text]
	if !ok {
		i = len(b.table)
		b.strings[text] = i
		b.table = append(b.table, text)
	}
	return i
}

func (b *builder) core(p *inspect.Program) (core, []stacks.Goroutine) {
	r := report.Make(p, "")
	list, _, _ := stacks.Read(p) // an error shows as a gap
	c := core{
		Path: p.Core.Path, Title: r.Title(), Facts: facts(r), Summary: [][2]string{}, Gaps: append([]string{}, r.Gaps...), Warnings: append([]string{}, p.Warnings...),
		Regions: []region{}, Log: []record{},
	}
	if p.Core.Capture != nil && !p.Core.Capture.When.IsZero() {
		c.Captured = p.Core.Capture.When.UnixMilli()
	}
	for _, v := range r.Summary {
		c.Summary = append(c.Summary, [2]string{v.Name, v.Brief().Line()})
	}
	s := newStackTable(b)
	objects, _ := waits.Read(p, list) // an error shows as a gap
	c.Groups, c.Goroutines = s.groups(stacks.Groups(list))
	c.Waits = s.objects(objects)
	c.Deadlocks = deadlocks(waits.Deadlocks(objects))
	c.Failed = s.failed(r.Failed)
	c.Frames, c.Stacks = s.frames, s.stacks
	c.Regions = b.regions(p)
	c.Memory = memoryOf(p.Core)
	c.Log = records(p.Core)
	c.Heap, _ = b.heap(p.Core) // an error shows as a gap
	return c, list
}

// facts are the lines of the summary.
func facts(r *report.Report) [][2]string {
	out := [][2]string{}
	for _, f := range r.Facts() {
		out = append(out, [2]string{f.Name, f.Text()})
	}
	return out
}

// A record is a record of the log.
type record struct {
	Time    int64  `json:"t,omitempty"` // milliseconds since 1970
	Level   int    `json:"l"`
	Message string `json:"m"`
	Attrs   string `json:"a,omitempty"`
}

func records(c *inspect.Core) []record {
	out := []record{}
	logs, _ := c.Logs() // an error shows as a gap
	for _, log := range logs {
		for i := range log.Records {
			r := &log.Records[i]
			rec := record{Level: r.Level, Message: r.Message, Attrs: inspect.AttrText(r.Attrs)}
			if !r.Time.IsZero() {
				rec.Time = r.Time.UnixMilli()
			}
			out = append(out, rec)
		}
	}
	slices.SortStableFunc(out, func(a, b record) int { return cmp.Compare(a.Time, b.Time) })
	return out
}

// A comparison is what differs between two cores.
type comparison struct {
	Unknown int           `json:"unknown"`
	Changes []change      `json:"changes"`
	Groups  []groupChange `json:"groups"`
}

type change struct {
	Kind   diff.Kind `json:"kind"`
	Path   string    `json:"path"`
	Before string    `json:"before,omitempty"`
	After  string    `json:"after,omitempty"`
	By     string    `json:"by,omitempty"` // the difference of numbers, and the rate
}

type groupChange struct {
	Functions []int `json:"functions"`
	Before    int   `json:"before"`
	After     int   `json:"after"`
}

// elapsedBetween returns the time between two captures, 0 if it is not known.
func elapsedBetween(before, after *inspect.Core) time.Duration {
	if before.Capture == nil || after.Capture == nil || before.Capture.When.IsZero() || after.Capture.When.IsZero() {
		return 0
	}
	return after.Capture.When.Sub(before.Capture.When)
}

func (b *builder) compare(before, after *inspect.Program, old, now []stacks.Goroutine) comparison {
	result := diff.Programs(before, after, value.Limits{Elements: -1})
	out := comparison{Unknown: result.Unknown, Changes: []change{}, Groups: []groupChange{}}
	line := func(v *value.Value) string {
		if v == nil {
			return ""
		}
		return v.Brief().Line()
	}
	elapsed := elapsedBetween(before.Core, after.Core)
	for _, c := range result.Changes {
		by := diff.DifferenceText(c.Difference(elapsed))
		out.Changes = append(out.Changes, change{c.Kind, c.Path, line(c.Before), line(c.After), by})
	}
	for _, g := range diff.Groups(old, now) {
		gc := groupChange{Functions: []int{}, Before: g.Before, After: g.After}
		for i := range g.Frames {
			gc.Functions = append(gc.Functions, b.index(g.Frames[i].Function))
		}
		out.Groups = append(out.Groups, gc)
	}
	return out
}
