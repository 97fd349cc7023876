// Package report answers what an on-call engineer asks of a core: why the program
// ended, where, what its other goroutines do and wait for, what its log and its
// summary values show, and what the core lacks.
package report

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/heapreport"
	"github.com/meminspect/meminspect/internal/inspect/signature"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/inspect/waits"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/logring"
)

// A Report is what a core shows. Fields are empty if the core does not show it.
type Report struct {
	Core      *inspect.Core
	Cause     Cause
	Signature signature.Signature // the zero value if the program did not end
	Failed    *Goroutine          // that ended the program
	Groups    []stacks.Group      // of the program's other goroutines, the largest first
	Waits     []waits.Object      // that a variable leads to or that several goroutines wait for, the most wanted first
	Alike     []waits.Set         // all such objects, those that are alike together
	Deadlocks []waits.Deadlock    // goroutines that wait for each other
	Summary   []Value             // of the entries that are marked summary
	Heap      *heapreport.Report  // what keeps memory alive, nil if the core does not record it
	Log       []logring.Record
	Older     int      // records of the log before those
	Gaps      []string // what the core lacks, and why
}

// Title returns the report in one sentence.
func (r *Report) Title() string {
	program := "a program"
	if name := r.Core.Program(); name != "" {
		program = filepath.Base(name)
	}
	return program + " " + r.Cause.String()
}

// A Value is the value of a variable.
type Value struct {
	Name string
	*value.Value
}

// maxLog is how many records of the log a report has.
const maxLog = 10

// Make makes the report of a program's core. link is a template for links to the
// source, with {file}, {line} and {commit}, or "".
func Make(prog *inspect.Program, link string) *Report {
	r, list, lost := start(prog)
	if r.Failed != nil {
		nameObjects(prog, r.Failed.Calls)
		r.addSource(link)
	}
	r.Groups = otherGroups(list, r.Failed)
	if objects, err := waits.Read(prog, list); err == nil {
		r.Deadlocks = waits.Deadlocks(objects)
		for _, set := range waits.Alike(objects) {
			if notable(set) {
				r.Alike = append(r.Alike, set)
			}
		}
		for i := range objects {
			if notable(waits.Set{&objects[i]}) {
				r.Waits = append(r.Waits, objects[i])
			}
		}
	}
	r.Log, r.Older = lastRecords(prog.Core)
	r.Gaps = append(gaps(prog.Core, lost), r.Gaps...)
	return r
}

// Brief makes the part of a report that needs little memory: the cause, the
// signature, the goroutine that ended the program, and the summary.
func Brief(prog *inspect.Program) *Report {
	r, _, _ := start(prog)
	return r
}

// start begins a report. It returns the goroutines too, and how many of them cannot
// be read.
func start(prog *inspect.Program) (r *Report, list []stacks.Goroutine, lost int) {
	core := prog.Core
	list, lost, _ = stacks.Read(prog) // an error shows as a gap
	r = &Report{Core: core, Cause: CauseOf(core), Failed: failed(core, prog, list), Summary: summary(prog)}
	var err error
	if r.Heap, err = heapreport.Recorded(core); err != nil {
		r.Gaps = append(r.Gaps, err.Error())
	}
	if r.Cause.End() {
		var ok bool
		if r.Signature, ok = storedSignature(core); !ok {
			r.Signature = sign(core, list, r.Failed)
		}
	}
	return r, list, lost
}

// otherGroups returns the groups of a program's goroutines but for the one that failed.
func otherGroups(list []stacks.Goroutine, failed *Goroutine) []stacks.Group {
	rest := slices.DeleteFunc(slices.Clone(list), func(g stacks.Goroutine) bool { return g.System() || failed != nil && g.ID == failed.ID })
	return stacks.Groups(rest)
}

// notable reports whether objects have a name or several waiters. Of descriptors and system
// calls, these are what is outside of the program.
func notable(set waits.Set) bool {
	o := set[0]
	return (o.Addr != 0 || o.Outside()) && (o.Path != "" || len(set)*len(o.Waiters) > 1)
}

func summary(prog *inspect.Program) []Value {
	var out []Value
	for i := range prog.Core.Regions {
		if r := &prog.Core.Regions[i]; r.Flags&anchor.EntrySummary != 0 {
			out = append(out, Value{value.Label(r, prog.Core.MainPath()), value.Region(prog, r, value.Limits{Constants: true})})
		}
	}
	return out
}

// lastRecords returns the last records of all log rings, the oldest first, and how
// many there are before them.
func lastRecords(core *inspect.Core) (last []logring.Record, older int) {
	logs, err := core.Logs()
	if err != nil && !errors.Is(err, inspect.ErrNoLog) && len(logs) == 0 {
		return nil, 0
	}
	var all []logring.Record
	for _, log := range logs {
		all = append(all, log.Records...)
	}
	if len(logs) > 1 {
		slices.SortStableFunc(all, func(a, b logring.Record) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	}
	older = max(len(all)-maxLog, 0)
	return all[older:], older
}
