//go:build linux

package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/internal/supervise/heartbeat"
	"github.com/meminspect/meminspect/internal/supervise/live"
	"github.com/meminspect/meminspect/internal/supervise/pressure"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// settled is the number of looks after which the program has registered and the
// work of the start is done.
const settled = 3

// The time between two looks at a program is at least shortest, and at most
// longest: a wake-up costs more processor time than a look, and what is urgent
// wakes us.
const (
	shortest = pressure.MinWait
	longest  = pressure.MaxWait
)

// filesStay is the time after which pages of files are released again. The kernel maps
// sixteen pages around each that is used, so code that rarely runs adds up.
const filesStay = 10 * time.Second

// HangAction selects what happens to a hanging program after its capture.
type HangAction int

// Hang actions.
const (
	LetHang HangAction = iota
	QuitHang
	KillHang
)

// watch looks at the running program: at its snapshot requests, heartbeats, and
// memory. It ends with the program.
func (s *Supervisor) watch() {
	began := time.Now()
	alarm := pressure.Alarm{Share: s.config.MemoryShare, Rest: memoryRest}
	var judge heartbeat.Judge
	var asked requests
	var group groupWatch
	defer func() { group.kernel.Close() }()
	// Times by the clock of began, which is monotonic: it stops while the host is
	// suspended.
	var follow, read, release time.Duration
	wait := time.NewTimer(shortest)
	defer wait.Stop()
	var collected <-chan struct{}
	if s.parent == nil {
		collected = collections(s.gone)
	}
	automatic := automaticCollections()
	for looks := 0; ; looks++ {
		if looks == settled && s.parent == nil {
			releaseMemory() // of the start
			release = time.Since(began) + filesStay
		}
		select {
		case <-collected:
			automatic = afterCollection(automatic)
		default:
		}
		now := time.Since(began)
		if looks > settled && s.parent == nil && now >= release {
			releaseFiles()
			release = now + filesStay
		}
		if now >= follow {
			group.follow(s.gauge, s.config.MemoryShare)
			follow = now + longest
		}
		stalled, woken := false, false
		select {
		case <-s.gone:
			return
		case stalled = <-group.tight:
			woken = true
		case <-s.looks:
		case <-wait.C:
		}
		now = time.Since(began)
		again := asked.look(s)
		view := s.image.Load().view
		beats := view.beats()
		for _, v := range judge.Look(now, len(beats) > 0 && (s.dying() || view.paused()), beats) {
			s.verdict(v)
		}
		if s.config.MemoryShare > 0 && (woken || now >= read) {
			r := s.gauge.Read(s.config.MemoryShare)
			r.Stalled = stalled
			if alarm.Rings(now, r) {
				s.request(memoryReason, r.String(), s.withHeap(heapRoom(r)))
			}
			read = now + longest
			if !alarm.Rests(now) {
				read = now + r.Wait()
			}
		}
		again = heartbeat.Wait(beats, again)
		judge.Tick = again // the time until the next look is at most that
		if s.config.MemoryShare > 0 {
			again = min(again, read-time.Since(began))
		}
		wait.Reset(max(again, shortest))
	}
}

// requests counts the snapshots that were requested by a program.
type requests struct {
	of    *view
	count uint64
}

// look answers a new request. It returns the time until the next look.
func (r *requests) look(s *Supervisor) time.Duration {
	view := s.image.Load().view
	if view != r.of {
		r.of, r.count = view, 0 // after an exec another program counts
	}
	count, reason, err := view.asked()
	if errors.Is(err, live.ErrChanging) {
		return shortest
	}
	if err == nil && count > r.count { // a closed view has none
		r.count = count
		s.answer(reason)
	}
	return longest
}

// look makes watch look at the program now.
func (s *Supervisor) look() {
	select {
	case s.looks <- struct{}{}:
	default: // it is about to look
	}
}

// asksToLook is called when a process requests a look at itself.
func (s *Supervisor) asksToLook(pid int) {
	if pid == s.child.PID {
		s.look()
	} else if d := s.family.member(pid); d != nil {
		d.look()
	}
}

// A groupWatch has the kernel's notifications of the group that the program is in.
type groupWatch struct {
	kernel *pressure.Watcher // nil if there are none
	tight  chan bool         // of the watcher, or nil
	moves  int
}

// follow goes with the program into its group. The gauge is nil for a process
// whose memory is not watched.
func (w *groupWatch) follow(g *pressure.Gauge, share float64) {
	if g == nil {
		return
	}
	moves := g.Follow()
	if moves == w.moves || share <= 0 {
		return
	}
	w.kernel.Close()
	w.moves, w.tight = moves, nil
	if w.kernel = g.Watch(share); w.kernel != nil {
		w.tight = w.kernel.Tight
	}
}

// memoryReason is the reason of captures before an OOM kill.
const memoryReason = "memory"

// memoryRest is the minimum time between two captures because of memory.
const memoryRest = 10 * time.Minute

// answer makes the snapshot that the program waits for in meminspect.Snapshot.
func (s *Supervisor) answer(reason string) {
	answer := func(taken bool) {
		if socket := s.image.Load().socket; socket != nil {
			_ = socket.Answer(taken) // fails if the program has ended
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

// verdict handles a heartbeat that was missed or that recovered.
func (s *Supervisor) verdict(v heartbeat.Verdict) {
	printed := fmt.Sprintf("heartbeat %s, silent for %v (limit %v)", v.Name, v.Silent.Round(time.Millisecond), v.Limit)
	if v.Recovered {
		s.report(Event{What: Recovered, Text: printed})
		return
	}
	s.report(Event{What: Hanging, Text: printed})
	s.request("hang", printed, nil)
	if s.config.OnHang == LetHang {
		return
	}
	// One core per hang: the end that we cause is not captured again.
	if s.claimDeath() {
		signal := unix.SIGQUIT
		if s.config.OnHang == KillHang {
			signal = unix.SIGKILL
		}
		unix.Kill(s.child.PID, signal)
	}
}

// request captures the running program because of something that the supervisor
// detected.
func (s *Supervisor) request(reason, why string, change func(*request.Request)) {
	suppressed, err := s.admit(reason)
	if err != nil {
		s.finish(Event{Reason: reason}, err)
		return
	}
	s.captureAs(reason, why, suppressed, nil, change)
}

// withHeap makes a capture read the heap, within room bytes of memory, if the
// program is stopped anyway and its cores have more than its annotated memory.
func (s *Supervisor) withHeap(room uint64) func(*request.Request) {
	return func(r *request.Request) {
		if r.HeapRoom = room; r.Heap == nil && s.config.Capture.Mode != capture.Strict {
			r.Heap, r.HeapOptional = s.config.Heap, true
		}
	}
}

// heapRoom returns how much memory the graph of a program's heap may take: what is
// left of its limit, which may be ours too, without what a capture needs.
func heapRoom(r pressure.Reading) uint64 {
	const capture = 24 << 20
	if r.Limit <= 0 || r.Limit-r.Used <= capture {
		return 0
	}
	return uint64(r.Limit - r.Used - capture)
}

// captureWait bounds a capture of a program that keeps running.
const captureWait = 30 * time.Second

// capture captures the running program. taken, if not nil, is called once
// everything was read and the program continues.
func (s *Supervisor) capture(reason, why string, suppressed int, taken func()) Event {
	return s.captureAs(reason, why, suppressed, taken, nil)
}

// captureAs is capture; change, if not nil, changes the request.
func (s *Supervisor) captureAs(reason, why string, suppressed int, taken func(), change func(*request.Request)) Event {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), captureWait)
	defer cancel()
	var held time.Duration
	c, err := s.takeOrRecord(ctx, func(o *capture.Options) {
		o.Reason = reason
		r := &o.Request
		r.Hold.SkipRehearsal = reason == memoryReason
		r.SaveMemory = reason == memoryReason
		if change != nil {
			change(r)
		}
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
