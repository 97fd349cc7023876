//go:build linux

package supervise

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/supervise/heartbeat"
	"github.com/meminspect/meminspect/internal/supervise/pressure"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// tick is how often the program's anchor is looked at.
const tick = 50 * time.Millisecond

// HangAction is what is done to a program that hangs, after it was captured.
type HangAction int

// Hang actions.
const (
	LetHang HangAction = iota
	QuitHang
	KillHang
)

// watch looks at what the program says of itself while it runs: snapshots that
// it asks for, heartbeats, memory. It ends with the program.
func (s *Supervisor) watch() {
	began := time.Now()
	alarm := pressure.Alarm{Share: s.config.MemoryShare, Rest: memoryRest}
	judge := heartbeat.Judge{Tick: tick}
	var asked uint64
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	looked, near := 0, true
	var tight chan bool // nil where the kernel tells of nothing
	if s.config.MemoryShare > 0 {
		if w := s.gauge.Watch(s.config.MemoryShare); w != nil {
			defer w.Close()
			tight = w.Tight
		}
	}
	for {
		stalled, woken := false, false
		select {
		case <-s.gone:
			return
		case stalled = <-tight:
			woken = true
		case <-ticker.C:
		}
		now := time.Since(began) // monotonic: it stands still while the host sleeps
		if count, reason := s.image.Load().view.asked(asked); count != asked {
			asked = count
			s.answer(reason)
		}
		view := s.image.Load().view
		beats := view.beats()
		for _, v := range judge.Look(now, len(beats) > 0 && (s.dying() || view.paused()), beats) {
			s.verdict(v)
		}
		// Far from the limit a look now and then is enough.
		if looked++; s.config.MemoryShare > 0 && (woken || near || looked >= seldom) {
			looked = 0
			r := s.gauge.Read(s.config.MemoryShare)
			near = r.Share() > s.config.MemoryShare/2
			r.Stalled = stalled
			if alarm.Rings(now, r) {
				s.request(memoryReason, r.String())
			}
		}
	}
}

// memoryReason is the reason of captures that are made before the kernel kills.
const memoryReason = "memory"

// seldom is how many ticks pass between looks at a program's memory that is far
// from its limit.
const seldom = 4

// memoryRest is the least time between two captures for memory's sake.
const memoryRest = 10 * time.Minute

// answer takes the snapshot that the program waits for in meminspect.Snapshot.
func (s *Supervisor) answer(reason string) {
	answer := func(taken bool) {
		if socket := s.image.Load().socket; socket != nil {
			_ = socket.Answer(taken) // it fails if the program has ended
		}
	}
	suppressed, err := s.admit("snapshot")
	if err != nil {
		answer(false)
		s.finish(Event{Reason: "snapshot"}, err)
		return
	}
	if reason == "" {
		reason = "snapshot"
	}
	answered := false
	s.capture(reason, "", suppressed, func() {
		answered = true
		answer(true)
	})
	if !answered {
		answer(false)
	}
}

// verdict deals with a heartbeat that was missed or that came back.
func (s *Supervisor) verdict(v heartbeat.Verdict) {
	said := fmt.Sprintf("heartbeat %s, silent for %v (limit %v)", v.Name, v.Silent.Round(time.Millisecond), v.Limit)
	if v.Recovered {
		s.report(Event{What: Recovered, Text: said})
		return
	}
	s.report(Event{What: Hanging, Text: said})
	s.request("hang", said)
	if s.config.OnHang == LetHang {
		return
	}
	// One hang, one core: the end that we make is not captured again.
	if s.claimDeath() {
		signal := unix.SIGQUIT
		if s.config.OnHang == KillHang {
			signal = unix.SIGKILL
		}
		unix.Kill(s.child.PID, signal)
	}
}

// request captures the running program because of something that we saw.
func (s *Supervisor) request(reason, why string) {
	suppressed, err := s.admit(reason)
	if err != nil {
		s.finish(Event{Reason: reason}, err)
		return
	}
	s.capture(reason, why, suppressed, nil)
}

// captureWait bounds a capture of a program that runs on.
const captureWait = 30 * time.Second

// capture captures the running program. taken, if it is not nil, is called once
// everything was read and the program runs on.
func (s *Supervisor) capture(reason, why string, suppressed int, taken func()) Event {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), captureWait)
	defer cancel()
	var held time.Duration
	c, err := s.takeOrRecord(ctx, func(o *capture.Options) {
		o.Reason = reason
		r := &o.Request
		r.Hold.SkipRehearsal = reason == memoryReason
		r.SaveMemory = reason == memoryReason
		if why != "" {
			r.Extra = append(r.Extra, note.Pair{Key: "message", Value: why})
		}
		if suppressed > 0 {
			r.Extra = append(r.Extra, note.Pair{Key: "suppressed", Value: number(uint64(suppressed))})
		}
		r.Released = func() { held = time.Since(began) }
	})
	if err != nil {
		return s.finish(Event{Reason: reason, Held: held}, err)
	}
	if taken != nil {
		taken()
	}
	return s.keep(c, began, held)
}
