// Package child runs the program under supervision: it starts it, waits, and,
// if ptrace is allowed, stops it at its very end while its memory is still
// complete.
//
// The exit stop seizes only the main thread, with PTRACE_O_TRACEEXIT. That
// thread is the last to exit at any end of the process: SIGKILL, SIGTERM,
// os.Exit, a fault on a thread that C made. While the program runs it costs
// only a detour for signals to the main thread. EXITKILL is not set: if the
// supervisor dies, the program continues.
package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/process"
)

// A Child is a started program. Wait must be called once.
type Child struct {
	PID int

	keeper  *process.Tracer // owns the main thread; makes no blocking call while it does
	foreign int             // descriptor of a process that is not our child, -1 if it is
	tty     int             // descriptor of the terminal given to the program, -1 if none
	shared  bool            // it shares the process group of this process
	ownID   bool            // its environment has its ID

	waiter atomic.Int32 // thread of Wait, for a process that is not our child

	// turn has one token. Its holder may act on the main thread: Wait on its
	// stops, or one capture.
	turn    chan struct{}
	thread  int // the keeper's ID
	seized  atomic.Bool
	exiting bool // in its exit stop
	ended   bool // its ID may now belong to another process
}

func newChild(keeper *process.Tracer) *Child {
	return &Child{keeper: keeper, tty: -1, foreign: -1, turn: make(chan struct{}, 1)}
}

func (c *Child) lock()   { c.turn <- struct{}{} }
func (c *Child) unlock() { <-c.turn }

// A Command describes what to start.
type Command struct {
	Path string   // of the executable
	Args []string // with the program's name
	Env  []string
	Dir  string

	// ShareGroup leaves the program in the process group of this process: signals of
	// the terminal and of the shell's job control reach both.
	ShareGroup bool

	// Files maps the program's descriptor numbers to ours; ^uintptr(0) skips a
	// number.
	Files []uintptr

	// OwnID names a variable of the environment that gets the program's process ID, if
	// the exit stop is requested before its first instruction; else no process has the ID in it.
	// HasOwnID reports which.
	OwnID string
}

// Start starts the program. Without ShareGroup the program gets its own process
// group, and the terminal if that of this process has it.
//
// With seize, Start requests the exit stop before the program's first
// instruction runs, if that is allowed; see Seize. Its error is the second one,
// and the program runs in any case.
func Start(c Command, keeper *process.Tracer, seize bool) (child *Child, notSeized, err error) {
	child = newChild(keeper)
	child.shared = c.ShareGroup
	if !child.shared {
		child.tty = foreground()
	}
	if c.OwnID != "" {
		c.Env = append(c.Env[:len(c.Env):len(c.Env)], c.OwnID+"="+noProcess)
	}
	attr := &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Files: c.Files,
		Sys: &syscall.SysProcAttr{Setpgid: !child.shared}}
	if seize {
		// The child would be killed that asks for its exit stop, and then this process.
		notSeized = process.Ptrace.Killed()
		seize = notSeized == nil
	}
	started := false
	if seize && !privileged(c.Path) {
		if derr := keeper.Do(func() { started = child.startSeized(c, attr) }); derr != nil {
			return nil, nil, derr
		}
	}
	if !started {
		child.PID, err = forkExec(c, attr)
		if err != nil {
			if child.tty >= 0 {
				unix.Close(child.tty)
			}
			return nil, nil, fmt.Errorf("start %s: %w", c.Path, err)
		}
		loaded(child.PID)
		if seize {
			notSeized = child.Seize()
		}
	}
	child.giveTerminal()
	return child, notSeized, nil
}

// HasOwnID reports whether the program has its process ID in the variable Command.OwnID.
func (c *Child) HasOwnID() bool { return c.ownID }

// forkExec starts the program. A script without an interpreter is run by the
// shell, as execvp does.
func forkExec(c Command, attr *syscall.ProcAttr) (pid int, err error) {
	pid, err = syscall.ForkExec(c.Path, c.Args, attr)
	if errors.Is(err, unix.ENOEXEC) {
		const shell = "/bin/sh"
		return syscall.ForkExec(shell, append([]string{shell, c.Path}, c.Args[1:]...), attr)
	}
	return pid, err
}

// loaded waits until the program is loaded: its start is reported when it has
// closed its close-on-exec files, and its file is mapped after that. The
// auxiliary vector appears last. For a program that may not be read there is
// nothing to wait for.
func loaded(pid int) {
	const end = 16 // the last entry of the vector, which is there before
	for range 1000 {
		auxv, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
		if err != nil || len(auxv) > end {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// startSeized starts the program so that it stops at once, which needs the old
// way of tracing, and changes that to a seizure while it is stopped. It reports
// false if nothing was started: tracing may be forbidden.
func (c *Child) startSeized(cmd Command, attr *syscall.ProcAttr) bool {
	sys := *attr.Sys
	sys.Ptrace = true
	traced := *attr
	traced.Sys = &sys
	pid, err := forkExec(cmd, &traced)
	if err != nil {
		return false
	}
	c.PID = pid
	stop := func() bool {
		// The end of a program that did not get this far is left to Wait.
		if n, err := process.Peek(pid, 0); err != nil || n.Ended() {
			return false
		}
		for {
			var status unix.WaitStatus
			_, err := unix.Wait4(pid, &status, unix.WUNTRACED|unix.WALL, nil)
			if err != unix.EINTR {
				return err == nil && status.Stopped()
			}
		}
	}
	// It is stopped before its first instruction with a SIGTRAP. Detached with a
	// SIGSTOP instead, it stops again, no longer traced, and can be seized.
	if !stop() {
		unix.Kill(pid, unix.SIGCONT)
		return true
	}
	if cmd.OwnID != "" {
		c.ownID = setOwnID(pid, cmd.OwnID) == nil // else the program takes the variable for another process'
	}
	if c.request(unix.PTRACE_DETACH, uintptr(unix.SIGSTOP)) != nil || !stop() {
		unix.Kill(pid, unix.SIGCONT)
		return true
	}
	if c.request(unix.PTRACE_SEIZE, unix.PTRACE_O_TRACEEXIT) == nil {
		c.thread = unix.Gettid()
		c.seized.Store(true)
		stop() // seized while stopped, it reports its stop
		unix.Kill(pid, unix.SIGCONT)
		_ = c.request(unix.PTRACE_CONT, 0) // fails if the program was killed
		return true
	}
	unix.Kill(pid, unix.SIGCONT)
	return true
}

// noProcess is not a process ID, and has room for any.
const noProcess = "1000000000"

// setOwnID writes the ID of a stopped process into the variable of its environment that has
// noProcess.
func setOwnID(pid int, name string) error {
	stat, err := (&process.Process{PID: pid}).Stat()
	if err != nil {
		return err
	}
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return err
	}
	variable := "\x00" + name + "="
	at := strings.LastIndex("\x00"+string(environment), variable+noProcess)
	if at < 0 || stat.Environment == 0 {
		return fmt.Errorf("process %d has no variable %s", pid, name)
	}
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer memory.Close()
	value := make([]byte, len(noProcess))
	copy(value, strconv.Itoa(pid))
	_, err = memory.WriteAt(value, int64(stat.Environment)+int64(at+len(variable)-1))
	return err
}

// privileged reports whether the executable would lose the privileges that its
// file gives it if it were traced while it starts.
func privileged(path string) bool {
	fi, err := os.Stat(path)
	if err != nil || fi.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
		return true
	}
	_, err = unix.Getxattr(path, "security.capability", nil)
	return err == nil
}

// Attach makes a Child of a process that another process started. Its end is
// detected, its status only if it was seized.
func Attach(pid int, keeper *process.Tracer) (*Child, error) {
	if err := process.OpenPidfd.Killed(); err != nil {
		return nil, fmt.Errorf("attaching to process %d: %w", pid, err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("attaching to process %d: %w", pid, err)
	}
	c := newChild(keeper)
	c.PID, c.foreign = pid, fd
	return c, nil
}

// Other makes a Child of a process that is only captured: nothing waits for its
// end.
func Other(pid int) *Child {
	c := newChild(nil)
	c.PID = pid
	return c
}

// HasTerminal reports whether this process has a controlling terminal.
func HasTerminal() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// foreground returns a descriptor of the controlling terminal if our group has
// it, else -1.
func foreground() int {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return -1
	}
	if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		unix.Close(fd)
		return -1
	}
	return fd
}

// giveTerminal makes the program's group the terminal's. A program that used
// the terminal before that was stopped for it, and is continued.
func (c *Child) giveTerminal() {
	if c.tty >= 0 && unix.IoctlSetPointerInt(c.tty, unix.TIOCSPGRP, c.PID) == nil {
		unix.Kill(-c.PID, unix.SIGCONT)
	}
}

// Signal sends the program a signal that this process received. SIGTSTP and
// SIGCONT go to the whole group if it is the program's own, as they do for a job.
func (c *Child) Signal(sig unix.Signal) {
	switch {
	case c.shared, sig != unix.SIGTSTP && sig != unix.SIGCONT:
		unix.Kill(c.PID, sig)
	case sig == unix.SIGCONT && c.hasTerminal():
		c.giveTerminal()
	default:
		unix.Kill(-c.PID, sig)
	}
}

// hasTerminal reports whether the group of this process was given the terminal that
// the program had.
func (c *Child) hasTerminal() bool {
	if c.tty < 0 {
		return false
	}
	group, err := unix.IoctlGetInt(c.tty, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// Seize requests the exit stop. It returns EPERM if that is not allowed or if
// another process already traces the program.
func (c *Child) Seize() error {
	c.lock()
	defer c.unlock()
	return c.seize()
}

func (c *Child) seize() error {
	if err := process.Ptrace.Killed(); err != nil {
		return fmt.Errorf("seizing the main thread: %w", err)
	}
	err := c.ask(func() error {
		c.thread = unix.Gettid()
		return c.request(unix.PTRACE_SEIZE, unix.PTRACE_O_TRACEEXIT)
	})
	if err != nil {
		return fmt.Errorf("seizing the main thread: %w", err)
	}
	c.seized.Store(true)
	return nil
}

// ask runs f on the keeper's thread.
func (c *Child) ask(f func() error) error {
	var err error
	return errors.Join(c.keeper.Do(func() { err = f() }), err)
}

// Capture runs f, which may stop threads, when no other capture runs and no
// stop of the main thread is being handled. It stops waiting for that when ctx
// ends. f gets the main thread's tracer, nil if there is none, and whether the
// tracer holds the thread in its exit stop. When f has released all threads it
// may call done before it returns: the program's end waits for that.
func (c *Child) Capture(ctx context.Context, f func(main *process.Tracer, held bool, done func()) error) error {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting for another capture, or an exec of the program, to end: %w", ctx.Err())
	}
	done := sync.OnceFunc(func() {
		c.recheck()
		c.unlock()
	})
	// The exit stop ends when the time is up.
	defer context.AfterFunc(ctx, done)()
	defer done()
	if c.seized.Load() {
		return f(c.keeper, c.exiting, done)
	}
	return f(nil, false, done)
}

// recheck finds out whether the main thread is still the keeper's after a
// capture. The old one is gone if another thread has called exec.
func (c *Child) recheck() {
	if c.seized.Load() && !c.exiting && Tracer(c.PID) != c.thread {
		c.lost()
	}
}

// StatusKnown reports whether the status that Wait returned is the program's:
// for a process that another process started it is known only if it was seized
// until its end.
func (c *Child) StatusKnown() bool { return c.foreign < 0 }

// Inherited lists our descriptors that a program would have inherited without a
// supervisor, for Command.Files: systemd's sockets, a shell's redirections.
func Inherited() []uintptr {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return []uintptr{0, 1, 2}
	}
	files := []uintptr{0, 1, 2}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd < 3 {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		for len(files) <= fd {
			files = append(files, ^uintptr(0))
		}
		files[fd] = uintptr(fd)
	}
	return files
}

// Spare is how many numbers the start of a program needs above its highest
// descriptor: descriptors are moved there.
const Spare = 6

// Free returns a number for another descriptor: the first unused one from want,
// or the highest unused one below if the limit of this process does not allow
// that many and [Spare] more.
func Free(files []uintptr, want int) int {
	free := func(fd int) bool { return fd >= len(files) || files[fd] == ^uintptr(0) }
	var limit unix.Rlimit
	most := want
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur <= uint64(want)+Spare {
		most = int(limit.Cur) - 1 - Spare
	}
	for fd := most; fd < len(files)+want && most == want; fd++ {
		if free(fd) {
			return fd
		}
	}
	for fd := most; fd > 2; fd-- {
		if free(fd) {
			return fd
		}
	}
	return len(files)
}

// Tracer returns the thread that traces the given process, 0 if there is none.
func Tracer(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "TracerPid:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(rest))
			return n
		}
	}
	return 0
}
