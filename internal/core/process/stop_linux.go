package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

func isMainThread() bool { return unix.Gettid() == os.Getpid() }

// A Stopped is a process with all threads stopped, except the missed ones. Call
// Resume at the end.
//
// Two kinds of threads of this program take part. The seizer exists for this
// stop alone and owns every thread that the main thread's tracer does not own:
// when it ends, the kernel releases whatever it traces, in whatever state. It
// may block in PTRACE_SEIZE, which waits for an exec of the target, while that
// exec waits for threads that were killed to be reaped and for the main thread
// to leave its exit stop. Therefore another goroutine, the one that called
// Stop, reaps and releases them. docs/explanation/internals.md describes the model.
type Stopped struct {
	Threads []Thread
	Missed  []Missed
	Since   time.Time

	stopper *stopper
	unhook  atomic.Pointer[func() bool] // ends the wait for the context
	once    sync.Once
}

// A stopper is one attempt to stop a process.
type stopper struct {
	*Process
	opts    StopOptions
	end     time.Time
	image   *Image
	seizer  *Tracer
	busy    atomic.Bool // the seizer is working through a batch, and may block
	givenUp atomic.Bool // the seizer must not begin anything new
	tracees []*tracee
	first   int           // those before it are settled
	asking  atomic.Int64  // counts threads that the seizer has come to
	batch   chan struct{} // closed when the seizer is through with its batch
	seen    map[int]bool
	refused error // error of the first thread that could not be seized
}

// A tracee is a thread of the process, with this stop's knowledge about it.
type tracee struct {
	Thread
	owner *Tracer
	phase atomic.Int32 // the seizer moves it from asked on, the stopper from interrupted on
	err   error        // why it was refused; set before phase
}

// settled reports whether there is nothing to wait for.
func (t *tracee) settled() bool {
	phase := t.phase.Load()
	return phase != asked && phase != interrupted
}

// Phases of a tracee.
const (
	asked       = iota // on the seizer's list
	refused            // it could not be seized
	interrupted        // interrupted, should stop
	stopped
	left // dead, or renamed by exec
)

// Stop stops every thread of the process, including those that start during the
// call, and reads their registers. If no thread could be stopped, it returns an
// error that wraps the kernel's (EPERM: not allowed, or traced by another
// process), and all threads continue. They also continue when ctx ends, even if
// Resume has not been called.
func Stop(ctx context.Context, p *Process, opts StopOptions) (*Stopped, error) {
	if err := Ptrace.Killed(); err != nil {
		return nil, fmt.Errorf("stop process %d: %w", p.PID, err)
	}
	if opts.Wait == 0 {
		opts.Wait = time.Second
	}
	s := &stopper{Process: p, opts: opts, seizer: NewTracer(), seen: map[int]bool{}}
	out := &Stopped{stopper: s}
	image, err := p.Image()
	if err == nil {
		defer image.Close()
		s.image = image
		err = s.seizer.Do(func() {}) // its thread is ready
	}
	var ids []int
	if err == nil {
		ids, err = p.ThreadIDs()
	}
	if err == nil {
		out.Since = time.Now() // no thread stops before
		s.end = out.Since.Add(opts.Wait)
		err = s.all(ctx, ids)
	}
	if err == nil {
		err = s.registers()
	}
	if err != nil {
		out.Resume()
		return nil, fmt.Errorf("stop process %d: %w", p.PID, err)
	}
	for _, t := range s.tracees {
		switch t.phase.Load() {
		case stopped:
			out.Threads = append(out.Threads, t.Thread)
		case refused, asked, interrupted:
			if why := s.whyMissed(t); why != "" {
				out.Missed = append(out.Missed, Missed{t.ID, why})
			}
		}
	}
	if len(out.Threads) == 0 {
		out.Resume()
		if s.refused != nil {
			return nil, fmt.Errorf("stop process %d: %w", p.PID, s.refused)
		}
		return nil, fmt.Errorf("stop process %d: no thread stopped: %v", p.PID, out.Missed)
	}
	unhook := context.AfterFunc(ctx, out.Resume)
	out.unhook.Store(&unhook)
	return out, nil
}

// all stops the listed threads, and others until the list shows no new one: only a
// thread that is not on it, and so not stopped, can have started another.
func (s *stopper) all(ctx context.Context, ids []int) error {
	for {
		fresh := slices.DeleteFunc(ids, func(id int) bool { return s.seen[id] })
		if len(fresh) == 0 {
			return nil
		}
		s.ask(fresh)
		done, err := s.wait(ctx)
		if err != nil || !done || s.complete() {
			return err
		}
		if ids, err = s.ThreadIDs(); err != nil {
			return err
		}
	}
}

// complete reports whether the process has as many threads as have stopped. To list
// thousands takes milliseconds, in which the process is stopped already.
func (s *stopper) complete() bool {
	status, err := s.Status()
	if err != nil {
		return false
	}
	all, err := strconv.Atoi(status["Threads"])
	if err != nil {
		return false
	}
	for _, t := range s.tracees {
		if t.phase.Load() == stopped {
			all--
		}
	}
	return all == 0
}

// ask requests that the owners seize and interrupt threads, and returns without
// waiting.
func (s *stopper) ask(ids []int) {
	var batch []*tracee
	for _, id := range ids {
		s.seen[id] = true
		t := &tracee{Thread: Thread{ID: id}, owner: s.seizer}
		s.tracees = append(s.tracees, t)
		if id != s.PID || s.opts.Main == nil {
			batch = append(batch, t)
			continue
		}
		t.owner = s.opts.Main
		t.phase.Store(interrupted)
		if s.opts.MainHeld {
			t.Event = eventExit
			t.phase.Store(stopped)
			continue
		}
		_ = s.opts.Main.Do(func() {
			if t.err = ptrace(unix.PTRACE_INTERRUPT, id, 0); t.err != nil {
				t.phase.Store(refused)
			}
		})
	}
	s.busy.Store(true)
	done := make(chan struct{})
	s.batch = done
	s.seizer.Go(func() {
		defer close(done)
		defer s.busy.Store(false)
		for _, t := range batch {
			if s.givenUp.Load() {
				return
			}
			s.asking.Add(1)
			if t.err = ptrace(unix.PTRACE_SEIZE, t.ID, 0); t.err == nil {
				t.err = ptrace(unix.PTRACE_INTERRUPT, t.ID, 0)
			}
			if t.err != nil {
				t.phase.Store(refused)
			} else {
				t.phase.Store(interrupted)
			}
		}
	})
}

// errBlocked is the error of a stop whose seizer does not return.
var errBlocked = errors.New("stop: the kernel does not finish seizing a thread: the process is in exec, or its cgroup is frozen: try again")

// pollPause bounds how long a killed thread waits to be reaped.
const pollPause = time.Millisecond

// wait waits for the requested threads. It reports false if the time is up.
func (s *stopper) wait(ctx context.Context) (bool, error) {
	pause, whole := 10*time.Microsecond, time.Now().Add(pollPause)
	left, came := -1, int64(0)
	for {
		// While the seizer proceeds and threads stop, none that was killed is in the way.
		if now := s.asking.Load(); now != came {
			came, left, whole = now, -1, time.Now().Add(pollPause)
		}
		all := time.Now().After(whole)
		open := s.poll(all)
		switch {
		case open == 0 && !s.busy.Load():
			return true, nil
		case ctx.Err() != nil:
			s.givenUp.Store(true)
			return false, ctx.Err()
		case time.Now().After(s.end):
			s.givenUp.Store(true)
			if s.busy.Load() {
				// Only the seizer itself can release what it has stopped.
				return false, errBlocked
			}
			return false, nil
		}
		if all {
			whole = time.Now().Add(pollPause)
			if err := s.image.Check(); err != nil {
				s.givenUp.Store(true)
				return false, err
			}
		}
		waits := open == left
		left = open
		if !waits {
			pause, whole = 10*time.Microsecond, time.Now().Add(pollPause)
		}
		switch {
		case s.busy.Load():
			select {
			case <-s.batch:
			case <-time.After(pollPause):
			}
		case waits:
			time.Sleep(pause)
			pause = min(2*pause, pollPause)
		}
	}
}

// poll checks the threads that should stop, and with all set also those that
// have stopped: they may have been killed since, and an exec of the target
// waits until they are reaped. It returns how many have not stopped yet, as far
// as it knows. Otherwise it stays near the first of these: each check delays the
// seizer, which needs the kernel's list of threads for itself.
func (s *stopper) poll(all bool) (open int) {
	const near = 16
	for s.first < len(s.tracees) && s.tracees[s.first].settled() {
		s.first++
	}
	from := s.first
	if all {
		from = 0
	}
	for i := from; i < len(s.tracees); i++ {
		t := s.tracees[i]
		switch phase := t.phase.Load(); {
		case phase == asked && !all:
			return open + len(s.tracees) - i // the seizer has not come to the rest
		case phase == asked:
			open++
		case phase == interrupted, phase == stopped && all:
			s.look(t)
			if t.phase.Load() == interrupted {
				open++
			}
		}
		if open == near && !all {
			return open + len(s.tracees) - i - 1
		}
	}
	return open
}

// look records the kernel's report about a thread. It does not consume a stop:
// the kernel clears the signal of a consumed stop, and if this process were
// killed then, the thread would continue without it.
func (s *stopper) look(t *tracee) {
	n, err := Peek(t.ID, unix.WNOHANG)
	switch {
	case errors.Is(err, unix.ECHILD):
		t.phase.Store(left)
		return
	case err != nil:
		return
	case n.PID == 0:
		// The end of the main thread is reported with the whole process.
		if t.ID != s.PID {
			return
		}
		if stat, err := s.ThreadStat(t.ID); err == nil && stat.Dead() {
			t.phase.Store(left)
		}
		return
	case n.Ended():
		t.phase.Store(left)
		if t.ID != s.PID { // the end of the process belongs to its parent
			_, _ = unix.Wait4(t.ID, nil, unix.WALL|unix.WNOHANG, nil)
		}
		return
	}
	if n.Event() == eventExit && t.owner == s.opts.Main && !s.opts.MainHeld && s.leave(t) {
		t.phase.Store(left)
		return
	}
	if t.phase.Load() == stopped {
		return
	}
	t.Event, t.Signal = n.Event(), 0
	switch {
	case t.Event == 0:
		t.Signal = int(n.Signal()) // this signal was pending
	case t.Event == eventStop:
		t.group = n.Signal() != unix.SIGTRAP
	}
	t.phase.Store(stopped)
}

// leave releases the main thread from its exit stop if the process may survive:
// an exec of another thread waits for that. Its real ends are left to its
// owner, except exit(0), which no owner needs.
func (s *stopper) leave(t *tracee) (left bool) {
	_ = s.opts.Main.Do(func() {
		if status, err := ExitMessage(t.ID); err == nil && status == 0 {
			left = ptrace(unix.PTRACE_CONT, t.ID, 0) == nil
		}
	})
	return left
}

// whyMissed explains why a thread was not stopped, or returns "" if it is dead.
func (s *stopper) whyMissed(t *tracee) string {
	if stat, err := s.ThreadStat(t.ID); errors.Is(err, ErrGone) || err == nil && stat.Dead() {
		return ""
	}
	if t.phase.Load() != refused {
		return "did not stop in time; it sleeps in the kernel where nothing wakes it"
	}
	if s.refused == nil {
		s.refused = t.err
	}
	return t.err.Error()
}

// registers reads the registers of the stopped threads, each through its owner.
func (s *stopper) registers() error {
	var room registerRoom
	var failed error
	read := func(owner *Tracer) {
		for _, t := range s.tracees {
			if t.owner != owner || t.phase.Load() != stopped {
				continue
			}
			if err := t.registers(&s.opts, &room); err != nil && failed == nil {
				failed = err
			}
		}
	}
	if s.opts.Main != nil {
		_ = s.opts.Main.Do(func() { read(s.opts.Main) })
	}
	if err := s.seizer.Do(func() { read(s.seizer) }); err != nil {
		return err
	}
	return failed
}

func (th *Thread) registers(opts *StopOptions, room *registerRoom) error {
	var err error
	if th.General, err = room.read(th.ID, ntPRSTATUS); err != nil {
		if errors.Is(err, unix.ESRCH) { // killed after it stopped
			return nil
		}
		return fmt.Errorf("registers of thread %d: %w", th.ID, err)
	}
	th.TLS = threadPointer(th)
	if opts.Extended && HostMachine() == elfcore.MachineAMD64 {
		th.XState, _ = room.read(th.ID, ntX86XSTATE)
	}
	if opts.FloatingPoint {
		th.Float, _ = room.float(th.ID, th.XState)
	}
	return nil
}

// Resume lets the process continue as before. It may be called twice.
func (s *Stopped) Resume() {
	s.once.Do(func() {
		if unhook := s.unhook.Load(); unhook != nil { // nil if the context ended first
			(*unhook)()
		}
		s.stopper.release()
	})
}

// release lets every thread continue. The main thread's tracer continues that
// one. The seizer detaches the others; then it ends, and the kernel releases
// those that it could not detach: threads that have not stopped yet, that were
// killed, or that have become another program.
func (s *stopper) release() {
	s.givenUp.Store(true)
	if s.opts.Main != nil && !s.opts.MainHeld {
		_ = s.opts.Main.Do(func() { s.each(s.opts.Main, (*tracee).cont) })
	}
	if s.busy.Load() {
		_ = s.seizer.Close()
		go s.drain()
		return
	}
	_ = s.seizer.Do(func() { s.each(s.seizer, (*tracee).detach) })
	_ = s.seizer.Close()
}

func (s *stopper) each(owner *Tracer, f func(*tracee)) {
	for _, t := range s.tracees {
		if t.owner == owner && t.phase.Load() == stopped {
			f(t)
		}
	}
}

// drain keeps reaping while the seizer is blocked in an exec of the target,
// which waits for that.
func (s *stopper) drain() {
	for s.busy.Load() {
		s.poll(true)
		time.Sleep(pollPause)
	}
}

// detach passes a pending signal to the thread. A thread of a process that a
// signal stopped stays stopped.
func (t *tracee) detach() { _ = ptrace(unix.PTRACE_DETACH, t.ID, uintptr(t.Signal)) }

// cont continues the main thread for its tracer. If it was killed after it
// stopped for this capture, it is in its exit stop by now, where its tracer
// wants it.
func (t *tracee) cont() {
	switch n, err := Peek(t.ID, unix.WNOHANG); {
	case err != nil || n.PID == 0 || n.Ended() || n.Event() == eventExit:
	case t.group:
		_ = ptrace(unix.PTRACE_LISTEN, t.ID, 0)
	default:
		_ = ptrace(unix.PTRACE_CONT, t.ID, uintptr(t.Signal))
	}
}
