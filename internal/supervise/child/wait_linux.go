package child

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/process"
)

// Events are the functions that Wait calls while it waits.
type Events struct {
	// Exiting is called in the exit stop, with the status to come: the program is
	// complete and stopped, and dies when Exiting returns.
	Exiting func(end unix.WaitStatus)

	// Stopped is called when a job-control signal has stopped the program.
	Stopped func(signal unix.Signal)
}

// Wait waits for the end of the program and returns it.
func (c *Child) Wait(events Events) (unix.WaitStatus, error) {
	defer func() {
		if c.tty >= 0 {
			unix.Close(c.tty)
		}
	}()
	if c.foreign >= 0 {
		defer unix.Close(c.foreign)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		c.waiter.Store(int32(unix.Gettid()))
		defer c.waiter.Store(0)
	}
	for {
		if c.foreign >= 0 && !c.Seized() {
			return 0, c.waitForeign()
		}
		// Leave the notice unconsumed: a capture may be in progress.
		_, err := process.Peek(c.PID, 0)
		if errors.Is(err, unix.ECHILD) && c.foreign >= 0 {
			c.seized.Store(false) // it was released
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("waiting for process %d: %w", c.PID, err)
		}
		if status, ended := c.next(events); ended {
			return status, nil
		}
	}
}

// next handles the pending notice, and returns the status of a program that has
// ended. It releases the turn before it calls an event.
func (c *Child) next(events Events) (status unix.WaitStatus, ended bool) {
	c.lock()
	n, err := process.Peek(c.PID, unix.WNOHANG)
	switch {
	case err != nil || n.PID == 0:
		c.unlock() // a capture has handled it
	case n.Ended():
		pid, err := unix.Wait4(c.PID, &status, unix.WNOHANG|unix.WALL, nil)
		c.ended = pid == c.PID && err == nil
		ended = c.ended
		c.unlock()
	case !n.Trapped():
		_, _ = unix.Wait4(c.PID, nil, unix.WNOHANG|unix.WUNTRACED, nil) // consumes the stop
		c.unlock()
		events.stop(n.Signal())
	case n.Event() == unix.PTRACE_EVENT_EXIT:
		c.exit(n, events)
	case n.Event() == unix.PTRACE_EVENT_STOP && n.Signal() != unix.SIGTRAP:
		c.resume(n, unix.PTRACE_LISTEN, 0)
		c.unlock()
		events.stop(n.Signal())
	case n.Event() == unix.PTRACE_EVENT_STOP:
		c.resume(n, unix.PTRACE_CONT, 0) // a capture had requested it
		c.unlock()
	default:
		c.resume(n, unix.PTRACE_CONT, uintptr(n.Signal()))
		c.unlock()
	}
	return status, ended
}

// resume ends the noticed stop of the main thread. A thread that was killed
// since then is in its exit stop by now, which is another notice. A stop that
// is not the keeper's belongs to a program that replaced ours by exec on a
// thread that a capture had seized: it ends with that capture.
func (c *Child) resume(n process.Notice, how int, data uintptr) {
	err := c.ask(func() error {
		if now, err := process.Peek(c.PID, unix.WNOHANG); err != nil || now != n {
			return err
		}
		return c.request(how, data)
	})
	if err != nil {
		time.Sleep(time.Millisecond)
	}
}

func (e Events) stop(signal unix.Signal) {
	if e.Stopped != nil {
		e.Stopped(signal)
	}
}

// waitForeign waits for the end of a process whose status we cannot get.
func (c *Child) waitForeign() error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.foreign), Events: unix.POLLIN}}, -1)
		if n == 1 {
			c.lock()
			c.ended = true
			c.unlock()
			return nil
		}
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("waiting for process %d: %w", c.PID, err)
		}
	}
}

// exit handles the exit stop while it holds the turn, and lets the program die.
// End 0 may also be that of the main thread alone: another thread calls exec,
// which waits for this stop to end, and the program continues under the same
// ID.
func (c *Child) exit(n process.Notice, events Events) {
	var end unix.WaitStatus
	err := c.ask(func() (err error) {
		end, err = process.ExitMessage(c.PID)
		return err
	})
	if err != nil { // it is no longer in a stop of the keeper's
		c.unlock()
		time.Sleep(time.Millisecond)
		return
	}
	if events.Exiting != nil {
		c.exiting = true
		c.unlock()
		events.Exiting(end)
		c.lock()
		c.exiting = false
	}
	how := unix.PTRACE_CONT
	if c.foreign >= 0 {
		// Its parent learns of its end only when we are done with it.
		how = unix.PTRACE_DETACH
	}
	c.resume(n, how, 0)
	if end == 0 && c.foreign < 0 {
		c.lost()
	} else {
		c.seized.Store(false)
	}
	c.unlock()
}

// lost records that the keeper no longer has a main thread, and makes it seize
// that of the new program. It does not do so for a process that is not our
// child: then Wait only waits for its end.
func (c *Child) lost() {
	c.seized.Store(false)
	if c.foreign < 0 {
		go c.seizeAgain()
	} else if tid := c.waiter.Load(); tid != 0 {
		// The kernel does not wake a thread that waits for a tracee when that stops
		// being one. The signal is the one that Go's runtime uses to interrupt
		// threads; by itself it has no effect.
		_ = unix.Tgkill(unix.Getpid(), int(tid), unix.SIGURG)
	}
}

func (c *Child) seizeAgain() {
	for range 50 {
		time.Sleep(10 * time.Millisecond)
		c.lock()
		if c.ended || c.Seized() {
			c.unlock()
			return
		}
		err := c.seize()
		c.unlock()
		if err == nil || errors.Is(err, unix.ESRCH) {
			return
		}
	}
}

// Seized reports whether an exit stop will come.
func (c *Child) Seized() bool { return c.seized.Load() }
