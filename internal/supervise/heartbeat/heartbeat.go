// Package heartbeat judges from looks at a program's heartbeats whether it
// hangs. It knows no clock and no process: what it says follows from what it is
// shown.
package heartbeat

import (
	"slices"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/tables"
)

// A Verdict is a change for better or worse of one heartbeat.
type Verdict struct {
	Name      string
	Recovered bool          // it beats again; else it was missed
	Silent    time.Duration // without a beat, as far as we were there to see
	Limit     time.Duration
}

// A Judge keeps what was seen of each heartbeat. The zero value is ready.
type Judge struct {
	// Tick is the time between two looks. A look that comes later than twice
	// that shows that we were not there: the host was suspended, or starved,
	// or we were. The time that is missing counts for nobody.
	Tick time.Duration

	last  time.Duration
	begun bool
	seen  map[memory.Address]*state
}

type state struct {
	count  uint64
	silent time.Duration
	missed bool
}

// Look takes what the heartbeats are at a moment of a clock that does not jump,
// and returns what has changed. stopped says that the program was stopped by
// job control or a debugger: it cannot beat then, and need not.
func (j *Judge) Look(now time.Duration, stopped bool, beats []tables.Heartbeat) []Verdict {
	passed := now - j.last
	if !j.begun || passed < 0 || stopped {
		passed = 0
	}
	if passed > 2*j.Tick {
		passed = j.Tick
	}
	j.last, j.begun = now, true
	if j.seen == nil {
		j.seen = map[memory.Address]*state{}
	}
	var verdicts []Verdict
	for _, b := range beats {
		s := j.seen[b.Addr]
		if s == nil {
			s = &state{count: b.Count}
			j.seen[b.Addr] = s
			continue
		}
		if b.Count != s.count || !b.Running {
			if s.missed {
				verdicts = append(verdicts, Verdict{Name: b.Name, Recovered: true, Silent: s.silent, Limit: b.Limit})
			}
			*s = state{count: b.Count}
			continue
		}
		s.silent += passed
		if !s.missed && b.Limit > 0 && s.silent > b.Limit {
			s.missed = true
			verdicts = append(verdicts, Verdict{Name: b.Name, Silent: s.silent, Limit: b.Limit})
		}
	}
	for addr := range j.seen {
		if !slices.ContainsFunc(beats, func(b tables.Heartbeat) bool { return b.Addr == addr }) {
			delete(j.seen, addr)
		}
	}
	return verdicts
}
