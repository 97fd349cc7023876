package capture

import (
	"time"

	"github.com/meminspect/meminspect/capture/internal/build"
	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Summary describes the outcome of a capture.
type Summary struct {
	Target
	When     time.Time // time of the memory
	Reason   string
	Mode     string
	FullCore string // name of the full core, if it is the source

	// Signature names the bug that ended the program: an ID, a space and a title.
	// It is "" if the program did not end, or if a caller other than this module's
	// own commands captured it.
	Signature string
	Outcome
	Contents

	// Partial reports that requested data is not in the core. Problems lists what
	// is missing and why, in order.
	Partial  bool
	Problems []Problem
}

// A Target is the captured program.
type Target struct {
	PID       int
	Program   string // path of the executable
	GoVersion string
	BuildID   string // the go command's build ID
}

// An Outcome is the size of a core and the time that it took.
type Outcome struct {
	Bytes    int64  // of the core, uncompressed
	Payload  uint64 // bytes of memory in it, without what is marked as not captured
	Segments int    // with memory in them

	Find    time.Duration // before the program was stopped
	Stopped time.Duration // 0 if it was not stopped
	Total   time.Duration
}

// Contents is what a core has of a program.
type Contents struct {
	Threads    Count
	Goroutines Count
	Stacks     string // full, skeleton or none
	Regions    Regions
}

// A Count is a total number and the number in the core.
type Count struct {
	All      int `json:"all"`
	Captured int `json:"captured"`
}

// Regions counts regions by their status.
type Regions struct {
	All        int `json:"all"`
	Complete   int `json:"complete"`
	Partial    int `json:"partial,omitempty"`
	Torn       int `json:"torn,omitempty"`
	Unreadable int `json:"unreadable,omitempty"`
	Gone       int `json:"gone,omitempty"`

	// Reasons counts, by reason, the regions with missing data.
	Reasons map[string]int `json:"reasons,omitempty"`

	// Incomplete are the regions with missing or torn data.
	Incomplete []Incomplete `json:"-"`
}

// Incomplete is a region with missing or torn data.
type Incomplete struct {
	Name   string
	Status string
}

// A Problem is something that a capture could not do, or that readers of the core
// should know.
type Problem struct {
	What string `json:"what"` // "goroutines", "threads", "walk", …
	Why  string `json:"why"`
	Fix  string `json:"fix,omitempty"` // what to do about it, if anything
}

// String returns the problem as a line of text.
func (p Problem) String() string {
	s := p.What + ": " + p.Why
	if p.Fix != "" {
		s += " (" + p.Fix + ")"
	}
	return s
}

// addProblems adds the problems of the steps of a capture, in order.
func (s *Summary) addProblems(steps ...model.Problems) {
	for _, problems := range steps {
		for _, p := range problems {
			s.Partial = s.Partial || p.Missing
			s.Problems = append(s.Problems, Problem{What: p.What, Why: p.Why, Fix: p.Fix})
		}
	}
}

// summaryOf summarizes a snapshot and its core.
func summaryOf(s *model.Snapshot, core *build.Core) Summary {
	id := &s.Identity
	sum := Summary{
		Target:  Target{PID: id.PID, Program: id.Path, GoVersion: id.GoVersion, BuildID: id.BuildID},
		Outcome: Outcome{Payload: core.Payload, Segments: core.Filled, Stopped: s.Stopped},
		Contents: Contents{
			Threads:    Count{All: s.Threads.All, Captured: s.Threads.Known},
			Goroutines: Count{All: s.Goroutines.Alive, Captured: s.Goroutines.Captured},
			Stacks:     s.Goroutines.Note.Stacks.String(),
			Regions:    CountRegions(core.Regions),
		},
	}
	for i := range core.Regions {
		r := &core.Regions[i]
		sum.Partial = sum.Partial || r.Status&^(note.Expected|note.Gone) != 0
	}
	return sum
}

// CountRegions counts the regions of a core.
func CountRegions(regions []note.Region) Regions {
	var c Regions
	for i := range regions {
		c.add(&regions[i])
	}
	return c
}

func (c *Regions) add(r *note.Region) {
	c.All++
	switch r.Status.Word() {
	case "complete":
		c.Complete++
		return
	case "gone":
		c.Gone++
		return
	case "partial":
		c.Partial++
	case "torn":
		c.Torn++
	case "unreadable":
		c.Unreadable++
	}
	for _, why := range r.Status.Reasons() {
		if c.Reasons == nil {
			c.Reasons = map[string]int{}
		}
		c.Reasons[why]++
	}
	c.Incomplete = append(c.Incomplete, Incomplete{Name: r.Name, Status: r.Status.String()})
}
