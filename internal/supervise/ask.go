//go:build linux

package supervise

import (
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/internal/supervise/trigger"
)

// An ask is a user's request for a capture.
type ask struct {
	reason string
	heap   bool
	done   func(trigger.Answer)
}

// serve captures the running program for users' requests, one after the other,
// until it is dead. It finishes a capture that has begun by then. Users are not
// rate limited.
func (s *Supervisor) serve() {
	for {
		select {
		case <-s.gone:
			return
		case a := <-s.asks:
			a.done(answerOf(s.captureAs(a.reason, "", 0, nil, s.wanted(a))))
		}
	}
}

// wanted returns the change of a capture that a user wants, or nil.
func (s *Supervisor) wanted(a ask) func(*request.Request) {
	if !a.heap {
		return nil
	}
	return func(r *request.Request) {
		if r.Heap == nil {
			r.Heap = s.config.Heap
		}
	}
}

// answerOf returns the answer about a capture.
func answerOf(e Event) trigger.Answer {
	switch e.What {
	case Captured:
	case Undelivered:
		return trigger.Answer{Error: "the core " + e.notSent()}
	default:
		return trigger.Answer{Error: e.Text}
	}
	a := trigger.Answer{Path: e.Path, Bytes: e.Bytes, Partial: e.Partial, Regions: e.Regions.All}
	for _, r := range e.Regions.Incomplete {
		a.Incomplete = append(a.Incomplete, trigger.Region(r))
	}
	return a
}

// ask queues a capture of the running program and waits for it.
func (s *Supervisor) ask(r trigger.Request) trigger.Answer {
	if r.Reason == "" {
		r.Reason = askedReason
	}
	answer := make(chan trigger.Answer, 1)
	select {
	case s.asks <- ask{r.Reason, r.Heap, func(a trigger.Answer) { answer <- a }}:
		return <-answer
	case <-s.gone:
		return trigger.Answer{Error: "the program has ended"}
	}
}

// askedReason is the reason of a capture for which the user gave none.
const askedReason = "asked"
