package child

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Events are what Wait tells of while it waits.
type Events struct {
	// Exiting is called in the exit stop, with the end to come: the program is
	// whole and still, and dies when Exiting returns.
	Exiting func(end unix.WaitStatus)

	// Stopped is called when the program was stopped by a signal of job
	// control.
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
		// The status is left where it is: a capture may be about to take it.
		err := unix.Waitid(unix.P_PID, c.PID, nil, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT|unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err == unix.ECHILD && c.foreign >= 0 {
			c.unseize() // it was let go meanwhile
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("waiting for process %d: %w", c.PID, err)
		}
		c.mu.Lock()
		var status unix.WaitStatus
		pid, err := unix.Wait4(c.PID, &status, unix.WNOHANG|unix.WALL|unix.WUNTRACED, nil)
		if err == unix.ECHILD && c.foreign >= 0 {
			c.mu.Unlock()
			c.unseize()
			continue
		}
		if err != nil && err != unix.EINTR {
			c.mu.Unlock()
			return 0, fmt.Errorf("waiting for process %d: %w", c.PID, err)
		}
		if pid == 0 || err != nil {
			exit, pending := c.overtaken()
			c.mu.Unlock()
			if pending {
				c.exit(events, exit)
			}
			continue
		}
		if !status.Stopped() {
			c.ended = true
			c.mu.Unlock()
			return status, nil
		}
		c.stopped(events, status)
	}
}

// waitForeign waits for the end of a process of which we get no status.
func (c *Child) waitForeign() error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.foreign), Events: unix.POLLIN}}, -1)
		if n == 1 {
			c.mu.Lock()
			c.ended = true
			c.mu.Unlock()
			return nil
		}
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("waiting for process %d: %w", c.PID, err)
		}
	}
}

// overtaken finds out whether a capture took the notice of the exit stop.
func (c *Child) overtaken() (end unix.WaitStatus, pending bool) {
	if !c.seized || c.exiting {
		return 0, false
	}
	c.tracer.Do(func() {
		var info [128]byte
		if requestAt(unix.PTRACE_GETSIGINFO, c.PID, &info[0]) == nil && info[8] == byte(unix.SIGTRAP) && info[9] == unix.PTRACE_EVENT_EXIT {
			var message uint64
			pending = requestAt(unix.PTRACE_GETEVENTMSG, c.PID, &message) == nil
			end = unix.WaitStatus(message)
		}
	})
	c.exiting = pending
	return end, pending
}

// Check looks for an exit stop that a capture has seen instead of Wait; to be
// called after each Capture.
func (c *Child) Check(events Events) {
	c.mu.Lock()
	end, pending := c.overtaken()
	c.mu.Unlock()
	if pending {
		c.exit(events, end)
	}
}

// stopped deals with one stop; mu is held and is let go.
func (c *Child) stopped(events Events, status unix.WaitStatus) {
	event := int(status) >> 16
	signal := status.StopSignal()
	switch {
	case event == unix.PTRACE_EVENT_EXIT && c.exiting:
		// Check was quicker.
	case event == unix.PTRACE_EVENT_EXIT:
		var message uint64
		c.tracer.Do(func() { requestAt(unix.PTRACE_GETEVENTMSG, c.PID, &message) })
		c.exiting = true
		c.mu.Unlock()
		c.exit(events, unix.WaitStatus(message))
		return
	case event == unix.PTRACE_EVENT_STOP && signal == unix.SIGTRAP:
		c.tracer.Do(func() { request(unix.PTRACE_CONT, c.PID, 0) })
	case event == unix.PTRACE_EVENT_STOP:
		c.tracer.Do(func() { request(unix.PTRACE_LISTEN, c.PID, 0) })
		defer events.stop(signal)
	case c.seized:
		c.tracer.Do(func() { request(unix.PTRACE_CONT, c.PID, uintptr(signal)) })
	default:
		defer events.stop(signal)
	}
	c.mu.Unlock()
}

func (e Events) stop(signal unix.Signal) {
	if e.Stopped != nil {
		e.Stopped(signal)
	}
}

// exit runs the exit stop and lets the program die. When a thread that is not
// the main one calls exec, the main one ends, with status 0, and the program
// lives on under its number; then there is somebody new to seize, if it is our
// child: Wait looks for the end alone of others that were let go.
func (c *Child) exit(events Events, end unix.WaitStatus) {
	if events.Exiting != nil {
		events.Exiting(end)
	}
	c.mu.Lock()
	c.exiting, c.seized = false, false
	release := unix.PTRACE_CONT
	if c.foreign >= 0 {
		// Its parent is told of its end only when we are done with it.
		release = unix.PTRACE_DETACH
	}
	c.tracer.Do(func() { request(release, c.PID, 0) })
	c.mu.Unlock()
	switch {
	case c.foreign >= 0:
		c.wake()
	case end == 0:
		go c.seizeAgain()
	}
}

// wake has Wait look again: the kernel does not tell a thread that waits for a
// tracee when another one detaches it, and what it waits for then never comes.
// The signal is the one that Go's runtime interrupts threads with; by itself it
// does nothing.
func (c *Child) wake() {
	if tid := c.waiter.Load(); tid != 0 {
		unix.Tgkill(unix.Getpid(), int(tid), unix.SIGURG)
	}
}

func (c *Child) seizeAgain() {
	for range 5 {
		time.Sleep(20 * time.Millisecond)
		c.mu.Lock()
		if c.ended {
			c.mu.Unlock()
			return
		}
		err := c.seize()
		c.mu.Unlock()
		if err == nil || errors.Is(err, unix.ESRCH) {
			return
		}
	}
}

// unseize notes that nobody traces the program any more.
func (c *Child) unseize() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seized = false
}

// Seized tells whether an exit stop is to be expected.
func (c *Child) Seized() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seized
}
