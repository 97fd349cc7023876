// Package heartbeat decides from samples of a program's heartbeats whether the
// program hangs. It uses no clock and no process: its result depends only on
// its input.
package heartbeat

import (
	"slices"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/tables"
)

// A Verdict is a change of state of one heartbeat.
type Verdict struct {
	Name      string
	Recovered bool          // it advances again; otherwise it was missed
	Silent    time.Duration // observed time without a beat
	Limit     time.Duration
}

// A Judge records the observed state of each heartbeat. The zero value is
// ready.
type Judge struct {
	// Tick is the time until the next sample at most. One that comes later than twice
	// that shows that this process did not run: the host was suspended or
	// overloaded. The missing time does not count.
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

// Limits of Wait.
const (
	minWait = 50 * time.Millisecond
	perWait = 10 // a part of the limit
)

// Wait returns how long the next sample may wait: a part of the shortest limit.
func Wait(beats []tables.Heartbeat, most time.Duration) time.Duration {
	for _, b := range beats {
		if b.Limit > 0 && b.Running {
			most = min(most, b.Limit/perWait)
		}
	}
	return max(most, minWait)
}

// Look takes the state of the heartbeats at a time of a monotonic clock, and
// returns what has changed. stopped means that job control or a debugger
// stopped the program: then it cannot beat.
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
