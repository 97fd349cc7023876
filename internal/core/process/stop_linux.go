package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

func isMainThread() bool { return unix.Gettid() == os.Getpid() }

// Stop stops every thread of the process, those too that start meanwhile, and
// reads their registers. It fails when not one could be stopped, with an error
// that wraps the kernel's (EPERM: not allowed, or traced by another); then all
// run on. When ctx ends, so does the waiting.
func (t *Tracer) Stop(ctx context.Context, p *Process, opts StopOptions) (*Stopped, error) {
	var stopped *Stopped
	var err error
	if derr := t.Do(func() { stopped, err = stop(ctx, p, opts) }); derr != nil {
		return nil, fmt.Errorf("stop process %d: %w", p.PID, derr)
	}
	stopped.tracer = t
	if err != nil {
		_ = stopped.Resume()
		return nil, fmt.Errorf("stop process %d: %w", p.PID, err)
	}
	return stopped, nil
}

// A stopper is one attempt to stop a process.
type stopper struct {
	*Process
	opts    StopOptions
	end     time.Time
	seen    map[int]bool // threads that were dealt with
	waiting []Thread     // seized, told to stop, and not stopped yet
	out     *Stopped
	scratch []byte // for one register set
	refused error  // why the first thread that could not be seized could not
}

// stop returns what it has stopped with an error too: that must be resumed.
func stop(ctx context.Context, p *Process, opts StopOptions) (*Stopped, error) {
	if opts.Wait == 0 {
		opts.Wait = time.Second
	}
	scratch := make([]byte, mostRegSet)
	now := time.Now()
	s := &stopper{Process: p, opts: opts, end: now.Add(opts.Wait), seen: map[int]bool{},
		out: &Stopped{Since: now}, scratch: scratch}
	if err := s.all(ctx); err != nil {
		return s.out, err
	}
	for i := range s.out.Threads {
		if err := s.registers(&s.out.Threads[i]); err != nil {
			return s.out, err
		}
	}
	return s.out, nil
}

// all stops threads until a look at the list shows none that is new: only a
// thread that is not on it, and so not stopped, can have started another.
func (s *stopper) all(ctx context.Context) error {
	for {
		ids, err := s.ThreadIDs()
		if err != nil {
			return err
		}
		fresh := false
		for _, id := range ids {
			if !s.seen[id] {
				s.seen[id], fresh = true, true
				s.seize(id)
			}
		}
		if !fresh {
			break
		}
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	if len(s.out.Threads) == 0 {
		if s.refused != nil {
			return s.refused
		}
		return fmt.Errorf("no thread stopped: %v", s.out.Missed)
	}
	return nil
}

func (s *stopper) seize(id int) {
	th := Thread{ID: id}
	for _, held := range s.opts.Held {
		if held == id {
			th.held = true
			s.out.Threads = append(s.out.Threads, th)
			return
		}
	}
	for _, seized := range s.opts.Seized {
		th.seized = th.seized || seized == id
	}
	if !th.seized {
		if err := ptrace(unix.PTRACE_SEIZE, id, 0, 0); err != nil {
			s.miss(id, err)
			return
		}
	}
	if err := ptrace(unix.PTRACE_INTERRUPT, id, 0, 0); err != nil {
		s.miss(id, err)
		s.out.later(th)
		return
	}
	s.waiting = append(s.waiting, th)
}

// miss records a thread that was not stopped, unless it is dead and so needs
// no stopping.
func (s *stopper) miss(id int, err error) {
	if stat, serr := s.ThreadStat(id); errors.Is(serr, ErrGone) || serr == nil && stat.Dead() {
		return
	}
	if s.refused == nil {
		s.refused = err
	}
	s.out.Missed = append(s.out.Missed, Missed{id, err.Error()})
}

// wait waits for what was told to stop.
func (s *stopper) wait(ctx context.Context) error {
	pause := 10 * time.Microsecond
	for len(s.waiting) > 0 {
		still := s.waiting[:0]
		for _, th := range s.waiting {
			done, err := s.look(&th)
			switch {
			case err != nil:
				s.miss(th.ID, err)
				s.out.later(th)
			case !done:
				still = append(still, th)
			}
		}
		moved := len(still) < len(s.waiting)
		s.waiting = still
		if len(still) == 0 {
			break
		}
		if err := ctx.Err(); err != nil {
			s.giveUp("gave up: " + err.Error())
			return err
		}
		if !time.Now().Before(s.end) {
			s.giveUp("did not stop in time; it sleeps in the kernel where nothing wakes it")
			break
		}
		if moved {
			continue
		}
		time.Sleep(pause)
		pause = min(2*pause, time.Millisecond)
	}
	return nil
}

// giveUp leaves those that did not stop. They cannot be detached before they
// stop: that happens when the tracer's thread ends, or at resume if they have
// stopped by then.
func (s *stopper) giveUp(why string) {
	for _, th := range s.waiting {
		s.out.Missed = append(s.out.Missed, Missed{th.ID, why})
		s.out.later(th)
	}
	s.waiting = nil
}

// look reports whether the thread has stopped, or died, which ends the waiting
// too.
func (s *stopper) look(th *Thread) (bool, error) {
	var status unix.WaitStatus
	id, err := unix.Wait4(th.ID, &status, unix.WALL|unix.WNOHANG, nil)
	switch {
	case errors.Is(err, unix.EINTR), err == nil && id == 0:
		return false, nil
	case errors.Is(err, unix.ECHILD):
		return true, nil // it has died and was waited for
	case err != nil:
		return false, err
	case !status.Stopped():
		return true, nil // it has died
	}
	th.Event = int(status) >> 16
	switch sig := status.StopSignal(); {
	case th.Event == 0:
		th.Signal = int(sig) // it was about to take this one
	case th.Event == eventStop:
		th.group = sig != unix.SIGTRAP
	}
	s.out.Threads = append(s.out.Threads, *th)
	return true, nil
}

func (s *stopper) registers(th *Thread) error {
	var err error
	if th.General, err = getRegSet(th.ID, ntPRSTATUS, s.scratch); err != nil {
		if errors.Is(err, unix.ESRCH) { // killed meanwhile
			th.General = nil
			return nil
		}
		return fmt.Errorf("registers of thread %d: %w", th.ID, err)
	}
	th.TLS = threadPointer(th)
	if s.opts.FloatingPoint {
		th.Float, _ = getRegSet(th.ID, ntFPREGSET, s.scratch)
	}
	if s.opts.Extended && HostMachine() == elfcore.MachineAMD64 {
		th.XState, _ = getRegSet(th.ID, ntX86XSTATE, s.scratch)
	}
	return nil
}

// Resume lets the process run on as it would have. It may be called twice.
func (s *Stopped) Resume() error {
	if s.tracer == nil {
		return nil
	}
	err := s.tracer.Do(s.resume)
	if err == nil && !s.finishing && len(s.late) > 0 {
		s.finishing = true
		go s.finish()
	}
	return err
}

func (s *Stopped) resume() {
	if s.gone {
		return
	}
	s.gone = true
	for i := range s.Threads {
		if !s.Threads[i].release() {
			s.later(s.Threads[i])
		}
	}
}

// later notes a thread that could not be let go. One that was seized before has
// an owner, who waits for it.
func (s *Stopped) later(th Thread) {
	if !th.seized {
		s.late = append(s.late, th)
	}
}

// finish deals with threads that could not be let go: those that stop after all
// are then, and of those that were killed while they were stopped the statuses
// are taken, without which their process would never be seen to end. When the
// tracer is closed the kernel does all that.
func (s *Stopped) finish() {
	for len(s.late) > 0 {
		err := s.tracer.Do(func() {
			still := s.late[:0]
			for _, th := range s.late {
				var status unix.WaitStatus
				id, err := unix.Wait4(th.ID, &status, unix.WALL|unix.WNOHANG, nil)
				switch {
				case err == nil && id == 0, errors.Is(err, unix.EINTR):
					still = append(still, th)
				case err == nil && status.Stopped():
					if th.Event = int(status) >> 16; th.Event == 0 {
						th.Signal = int(status.StopSignal())
					}
					if !th.release() {
						still = append(still, th)
					}
				}
			}
			s.late = still
		})
		if err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// release lets a thread go, and reports whether that is done with: one that was
// killed meanwhile cannot be let go. A signal that it was about to take is given
// to it; a thread of a process that was stopped by a signal stays stopped.
func (th *Thread) release() bool {
	if th.held {
		return true
	}
	if !th.seized {
		return ptrace(unix.PTRACE_DETACH, th.ID, 0, uintptr(th.Signal)) == nil
	}
	switch {
	case th.Event == eventExit, th.exiting():
		// Its owner waits for this stop: Exiting tells of it.
	case th.Event == eventStop && th.group:
		_ = ptrace(unix.PTRACE_LISTEN, th.ID, 0, 0)
	default:
		_ = ptrace(unix.PTRACE_CONT, th.ID, 0, uintptr(th.Signal))
	}
	return true
}

// exiting tells whether a thread that had stopped for us is in its exit stop: a
// kill does not wait for us, and to continue it would be to let it die unseen.
func (th *Thread) exiting() bool {
	var info [128]byte // siginfo_t: si_code is at 8, the event in its second byte
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GETSIGINFO, uintptr(th.ID), 0, uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 || info[8] != byte(unix.SIGTRAP) || info[9] != eventExit {
		return false
	}
	th.Event = eventExit
	return true
}
