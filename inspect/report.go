package inspect

import (
	"errors"
	"log/slog"
	"time"

	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/runtime/format/logring"
)

// A Record is a log record of the program.
type Record struct {
	Time    time.Time // zero if it is not known
	Level   slog.Level
	Message string
	Attrs   []slog.Attr
}

// Log returns the log records that the program kept with package logring, the oldest
// first; none if it does not use that package.
func (c *Core) Log() ([]Record, error) {
	logs, err := c.core.Logs()
	if errors.Is(err, inspect.ErrNoLog) || errors.Is(err, inspect.ErrNoRegions) {
		return nil, nil
	}
	var out []Record
	for _, log := range logs {
		out = append(out, records(log.Records)...)
	}
	return out, err
}

func records(read []logring.Record) []Record {
	var out []Record
	for i := range read {
		r := &read[i]
		record := Record{Time: r.Time, Level: slog.Level(r.Level), Message: r.Message}
		for _, a := range r.Attrs {
			record.Attrs = append(record.Attrs, attr(a))
		}
		out = append(out, record)
	}
	return out
}

// attr returns an attribute as package slog has it.
func attr(a logring.Attr) slog.Attr {
	members, ok := a.Value.([]logring.Attr)
	if !ok {
		return slog.Any(a.Key, a.Value)
	}
	group := make([]slog.Attr, len(members))
	for i, m := range members {
		group[i] = attr(m)
	}
	return slog.GroupAttrs(a.Key, group...)
}

// A Report answers what an on-call engineer asks first.
type Report struct {
	Info      Info
	Failed    *Goroutine // that ended the program; nil if none did
	Calls     []Call     // its calls in the program's source, the innermost first
	Groups    []Group    // of the program's other goroutines, the largest first
	Waits     []Object   // that a variable leads to or that several goroutines wait for
	Deadlocks []Deadlock // goroutines that wait for each other
	Summary   []Summary  // the values of entries that are marked summary
	Log       []Record   // the last records
	Gaps      []string   // what the core lacks, and why
}

// A Call is a call of the goroutine that ended the program.
type Call struct {
	Frame
	Source  string   // the line, "" if it is not at hand
	Objects []string // paths of annotated objects to which the call has pointers
}

// A Summary is the value of an entry that is marked summary.
type Summary struct{ Name, Value string }

// Report returns what `meminspect report` prints.
func (c *Core) Report() *Report {
	r := report.Make(c.prog, "")
	all, _, _ := c.Goroutines() // an error shows as a gap
	m := &made{byID: map[uint64]*Goroutine{}}
	for _, g := range all {
		m.byID[g.ID] = g
	}
	out := &Report{
		Info: c.Info(), Groups: m.groups(r.Groups), Waits: m.objects(r.Waits), Deadlocks: m.deadlocks(r.Deadlocks), Log: records(r.Log), Gaps: r.Gaps,
	}
	if r.Failed != nil {
		out.Failed = m.byID[r.Failed.ID]
		for i := range r.Failed.Calls {
			call := &r.Failed.Calls[i]
			made := Call{Frame: frame(&call.Frame), Source: call.Source}
			for _, o := range call.Objects {
				made.Objects = append(made.Objects, o.Path)
			}
			out.Calls = append(out.Calls, made)
		}
	}
	for _, v := range r.Summary {
		out.Summary = append(out.Summary, Summary{v.Name, v.Line()})
	}
	return out
}
