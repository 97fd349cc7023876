//go:build linux

// Package supervise starts a program, watches it, and captures it at important
// moments: when it crashes in any way, when it hangs, when its memory runs out,
// and on request. The program is not affected: terminal, signals, exit status
// and standard error stay its own.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/gcpause"
	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/request"
	"github.com/meminspect/meminspect/internal/supervise/child"
	"github.com/meminspect/meminspect/internal/supervise/crashsocket"
	"github.com/meminspect/meminspect/internal/supervise/pressure"
	"github.com/meminspect/meminspect/internal/supervise/snapshots"
	"github.com/meminspect/meminspect/internal/supervise/stderrtail"
	"github.com/meminspect/meminspect/internal/supervise/trigger"
	"github.com/meminspect/meminspect/internal/supervise/witness"
	"github.com/meminspect/meminspect/runtime/format/crashenv"
	"github.com/meminspect/meminspect/runtime/format/lastend"
)

// A Config describes what to run and when to capture it.
type Config struct {
	Args []string // the program and its arguments
	Env  []string // its environment
	Dir  string   // its working directory, "" = ours

	// OutputTaken reports that our standard output is for cores: the program's
	// output goes to standard error.
	OutputTaken bool

	Capture    capture.Options    // options of each capture
	Heap       request.HeapReader // for users' requests with a record of the heap
	ExitStop   bool               // request the exit stop
	Ends       Ends               // ends that are crashes
	Children   Children           // what to do about the processes that it starts
	Witness    []string           // command line of package witness, nil = the program gets its own process group
	Relay      []string           // command line that copies standard input to standard output, for StderrTail
	Hold       time.Duration      // maximum time to stop a dying program, 0 = DefaultHold
	KeepText   bool               // keep complete crash texts, even if the program has exclusions
	StderrTail int                // bytes of the program's standard error to keep, 0 = none
	TextFile   string             // file to which crash texts are also appended, "" = none

	OnHang      HangAction  // after a missed heartbeat and its capture
	MemoryShare float64     // part of the memory limit at which to capture, 0 = never
	Signal      unix.Signal // signal that requests a capture and is not for the program, 0 = none
	Socket      string      // folder of the socket for users' requests, "" = none

	// Snapshot is the time between snapshots of the running program, which the
	// keeper stores for an end without a core; 0 = none.
	Snapshot time.Duration
	Keeper   snapshots.Keeper

	// Limits decides whether a capture may be stored, nil = always. Sink stores a
	// capture and returns its destination.
	Limits func(program, reason string) (suppressed int, err error)

	// An error may be a [corefile.UndeliveredError].
	Sink func(Core) (where string, err error)

	// Interrupt is called when a signal asks this process to end while it still
	// works after the program's death, for example on an upload; nil = the signal
	// is ignored.
	Interrupt func()

	// Place describes where cores go, and whether they can be stored now; nil =
	// unknown.
	Place func() (string, error)

	// History records the program's starts and ends; nil = nothing is recorded.
	History *store.Store

	Report *Reporter
}

// A Core is a capture to be delivered.
type Core struct {
	Program string
	PID     int
	When    time.Time
	Reason  string
	Size    int64
	Write   func(io.Writer) error
	Suffix  string // of the form in which Write writes it, "" if it is in the clear

	Signature string // an ID and a title, "" if unknown
}

// Name returns the core's file name.
func (c Core) Name() string { return corefile.Name(c.Program, c.PID, c.When, c.Reason) }

// Limits of the supervisor.
const (
	DefaultHold = 10 * time.Second
	maxText     = 1 << 20         // of a stored crash text
	textWait    = 5 * time.Second // for the end of a crash text, longer than the runtime's own limits
)

// A Supervisor is a program under supervision.
type Supervisor struct {
	config  Config
	who     string // this process
	child   *child.Child
	witness *witness.Witness      // nil if the program has its own process group
	image   atomic.Pointer[image] // the current image; another one after an exec
	keeper  *process.Tracer       // see package child
	started time.Time

	channel *crashsocket.Channel // on which programs register
	inode   uint64               // of the end that they inherit, 0 if none
	family  *family              // processes that the program started
	parent  *Supervisor          // for a process that another program started, else nil

	gauge  *pressure.Gauge  // of the program's memory
	stderr *stderrtail.Tail // nil if its standard error is its own

	// death records how the program's end was handled.
	death struct {
		sync.Mutex
		captured bool
		event    Event // of its capture
	}
	life    *store.Life        // nil if the program's ends are not recorded
	asks    chan ask           // of users
	working sync.WaitGroup     // work to finish before the supervisor ends
	gone    chan struct{}      // closed when the program is dead
	looks   chan struct{}      // has a value if watch is to look now
	stops   chan chan struct{} // requests to stop this process; nil if it is not the program's parent
}

// Run starts the program, watches it, and returns how it ended. The error is
// that of starting it: a [StartError] if the program itself is the cause.
func Run(config Config) (unix.WaitStatus, error) {
	path, err := exec.LookPath(config.Args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) { // a shell accepts that too
		return 0, &StartError{err}
	}
	s := newSupervisor(config, path)
	defer s.keeper.Close()
	signals := listen()
	defer signals.stop()
	s.stops = make(chan chan struct{})
	s.shareGroup()
	s.begin(path)
	if err := s.start(path); err != nil {
		s.life.Abandon()
		return 0, err
	}
	go s.forward(signals)
	return s.toTheEnd()
}

func newSupervisor(config Config, path string) *Supervisor {
	if config.Hold == 0 {
		config.Hold = DefaultHold
	}
	s := &Supervisor{config: config, who: "meminspect run", keeper: process.NewTracer(), family: newFamily(),
		asks: make(chan ask), gone: make(chan struct{}), looks: make(chan struct{}, 1)}
	s.image.Store(&image{name: filepath.Base(path), view: &view{}})
	return s
}

// A StartError reports that no supervisor could start the program.
type StartError struct{ Err error }

func (e *StartError) Error() string { return "run: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// ExitStatus returns the status of a shell: 127 if there is no such program,
// 126 if it cannot be executed.
func (e *StartError) ExitStatus() int {
	if errors.Is(e.Err, exec.ErrNotFound) || errors.Is(e.Err, fs.ErrNotExist) {
		return 127
	}
	return 126
}

// isShortage reports whether an error of starting a program may be caused by
// this process' own resource use.
func isShortage(err error) bool {
	for _, errno := range []syscall.Errno{unix.EMFILE, unix.ENFILE, unix.EBADF, unix.EAGAIN, unix.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// An Attachment is a running program that registers over a channel that it made
// itself, see package runtime/monitor.
type Attachment struct {
	PID     int
	Channel int // descriptor of our end

	// Ready is called once everything is ready, with the program's last end as
	// package lastend encodes it, "" if it is unknown.
	Ready func(promise, last string)
}

// Watch watches a running program until its end. It does not handle signals or
// the exit status.
func Watch(config Config, a Attachment) error {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", a.PID))
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	s := newSupervisor(config, path)
	defer s.keeper.Close()
	s.who = "runtime/monitor"
	if s.child, err = child.Attach(a.PID, s.keeper); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	if s.channel, err = crashsocket.AdoptChannel(a.Channel); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	var notSeized error
	if config.ExitStop {
		notSeized = s.child.Seize()
	}
	s.begin(path)
	s.life.SetPID(a.PID)
	promise := s.promise(path, notSeized)
	a.Ready(promise, s.lastEnd())
	s.report(Event{What: Started, Text: promise})
	_, err = s.toTheEnd()
	return err
}

// toTheEnd watches the program until it is dead and all work about it is done.
func (s *Supervisor) toTheEnd() (unix.WaitStatus, error) {
	s.gauge = pressure.Open("/sys/fs/cgroup", s.child.PID, s.config.Env)
	if s.config.MemoryShare > 0 {
		s.image.Load().view.findMemoryLimit()
		s.gauge.GoLimit = func() (int64, error) { return s.image.Load().view.memoryLimit() }
	}
	registering := make(chan struct{})
	go func() {
		defer close(registering)
		s.register()
	}()
	s.working.Go(s.watch)
	s.working.Go(s.serve)
	if s.config.Snapshot > 0 && s.config.Keeper != nil {
		s.working.Go(s.snap)
	}
	if s.config.Socket != "" {
		stop, err := trigger.Listen(s.config.Socket, s.child.PID, s.ask)
		if err != nil {
			s.report(Event{What: Note, Text: err.Error()})
		} else {
			defer stop()
		}
	}
	releaseMemory()
	status, err := s.child.Wait(child.Events{Exiting: s.exiting, Stopped: s.stopToo})
	close(s.gone)
	s.leave(registering)
	s.image.Load().close() // reports can no longer come
	s.working.Wait()
	s.finishStderr()
	if err != nil {
		s.life.Abandon()
		return 0, err
	}
	s.unseen(status, s.child.StatusKnown())
	if s.config.Keeper != nil {
		s.config.Keeper.Close()
	}
	s.ended(status)
	return status, nil
}

// shareGroup makes the program start in the process group of this process if
// there is a controlling terminal: the shell and the terminal then treat the
// job like the program alone.
func (s *Supervisor) shareGroup() {
	if len(s.config.Witness) == 0 || !child.HasTerminal() {
		return
	}
	var err error
	if s.witness, err = witness.Start(s.config.Witness); err != nil {
		s.report(Event{What: Note, Text: "the program has its own process group, and a shell does not treat both as one job: " + err.Error()})
	}
}

// start starts the program with its end of the channel.
func (s *Supervisor) start(path string) error {
	channel, programs, err := crashsocket.NewChannel()
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	defer programs.Close()
	inode, err := crashsocket.Inode(programs)
	if err != nil {
		channel.Close()
		return fmt.Errorf("run: %w", err)
	}
	s.channel, s.inode = channel, inode
	files := child.Inherited()
	if s.config.OutputTaken {
		files[1] = files[2]
	}
	if s.config.StderrTail > 0 {
		tail, end, err := stderrtail.Start(int(files[2]), s.config.StderrTail)
		if err != nil {
			channel.Close()
			return fmt.Errorf("run: %w", err)
		}
		defer end.Close() // the program has it
		s.stderr, files[2] = tail, end.Fd()
	}
	fd := child.Free(files, crashenv.Descriptor)
	for len(files) <= fd {
		files = append(files, ^uintptr(0))
	}
	files[fd] = programs.Fd()
	var notSeized error
	s.started = time.Now()
	env, ownID := sockets(s.environment(crashenv.Value(fd, inode)), os.Getpid())
	s.child, notSeized, err = child.Start(child.Command{
		Path: path, Args: s.config.Args, Dir: s.config.Dir, Files: files, ShareGroup: s.witness != nil,
		Env: env, OwnID: ownID,
	}, s.keeper, s.config.ExitStop)
	if err != nil {
		channel.Close()
		if isShortage(err) {
			return fmt.Errorf("run: %w", err)
		}
		return &StartError{err}
	}
	if ownID != "" && !s.child.HasOwnID() {
		s.report(Event{What: Note, Text: "the program cannot use the sockets that systemd opened: its process ID could not be written into " + ownID + " before its first instruction"})
	}
	s.life.SetPID(s.child.PID)
	s.report(Event{What: Started, Text: s.promise(path, notSeized)})
	return nil
}

// environment returns the program's environment, with the channel and how the
// program ended before.
func (s *Supervisor) environment(channel string) []string {
	env := append(without(without(s.config.Env, crashenv.Variable), lastend.Variable), crashenv.Variable+"="+channel)
	if last := s.lastEnd(); last != "" {
		env = append(env, lastend.Variable+"="+last)
	}
	return watchdog(env, os.Getpid())
}

// watchdog passes the watchdog of systemd on. systemd names the process that it
// expects to notify, which is this one; without that name any process may.
func watchdog(env []string, pid int) []string {
	const name = "WATCHDOG_PID"
	if slices.Contains(env, fmt.Sprint(name, "=", pid)) {
		return without(env, name)
	}
	return env
}

// sockets passes on the sockets that systemd has opened. systemd names the process that
// gets them, which is this one: the variable has to name the program.
func sockets(env []string, pid int) (passed []string, ownID string) {
	const name, identity = "LISTEN_PID", "LISTEN_PIDFDID"
	if !slices.Contains(env, fmt.Sprint(name, "=", pid)) {
		return env, ""
	}
	return without(without(env, name), identity), name
}

// without returns an environment without the variable.
func without(env []string, name string) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if len(kv) <= len(name) || kv[:len(name)] != name || kv[len(name)] != '=' {
			out = append(out, kv)
		}
	}
	return out
}

func (s *Supervisor) report(e Event) {
	e.Time, e.Program = time.Now(), s.image.Load().name
	if s.child != nil {
		e.PID = s.child.PID
	}
	s.config.Report.Report(e)
}

// takeOrRecord is take; if the program may not be read or is not supported, it
// returns a core without memory that records the reason.
func (s *Supervisor) takeOrRecord(ctx context.Context, change func(*capture.Options)) (*capture.Core, error) {
	var opts capture.Options
	c, err := s.take(ctx, func(o *capture.Options) {
		change(o)
		opts = *o
	})
	// What the kernel has taken back is lost, as if the program were gone.
	if capture.IsUnreadable(err) && !errors.Is(err, process.ErrReclaimed) {
		if stub, serr := capture.WriteStub(s.child.PID, opts, err); serr == nil {
			return stub, nil
		}
	}
	return c, err
}

// take captures the program, with its main thread stopped by the keeper that
// may have seized it. The caller's change of the options comes last. There is
// one capture at a time, and the program's end waits for it. If the program
// replaces itself by exec during the capture, it is captured again.
func (s *Supervisor) take(ctx context.Context, change func(*capture.Options)) (*capture.Core, error) {
	for again := 3; ; again-- {
		c, err := s.takeOnce(ctx, change)
		if again == 0 || !errors.Is(err, process.ErrReplaced) {
			return c, err
		}
	}
}

func (s *Supervisor) takeOnce(ctx context.Context, change func(*capture.Options)) (c *capture.Core, err error) {
	if s.parent != nil {
		select {
		case s.family.slots <- struct{}{}:
			defer func() { <-s.family.slots }()
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for captures of other processes: %w", ctx.Err())
		}
	}
	opts := s.config.Capture
	r := &opts.Request
	r.Requester, r.Lenient = s.who, true
	r.Hold.PauseGC = gcpause.Begin
	r.Sign = report.Sign
	err = s.child.Capture(ctx, func(main *process.Tracer, held bool, done func()) error {
		r.Hold.Main, r.Hold.MainHeld = main, held
		change(&opts)
		then := r.Released
		r.Released = func() {
			done() // the program may end now
			if then != nil {
				then()
			}
		}
		c, err = capture.Capture(ctx, s.child.PID, opts)
		return err
	})
	return c, err
}

// keep passes a capture to the sink and reports the outcome.
func (s *Supervisor) keep(c *capture.Core, began time.Time, held time.Duration) Event {
	summary := c.Summary()
	e := Event{Reason: summary.Reason, Held: held, Partial: summary.Partial, Signature: summary.Signature, Regions: summary.Regions}
	size, err := c.Size()
	if err == nil {
		core := Core{Program: s.image.Load().name, PID: s.child.PID, When: summary.When, Reason: summary.Reason, Size: size, Signature: summary.Signature,
			Write: corefile.From(c)}
		e.Path, err = s.config.Sink(core)
	}
	if info, staterr := os.Stat(e.Path); filepath.IsAbs(e.Path) && staterr == nil {
		size = info.Size() // it may have been compressed
	}
	e.Took, e.Bytes = time.Since(began), size
	releaseMemory() // a supervisor is small except for its captures
	return s.finish(e, err)
}

// finish reports a capture with its outcome, and returns the event.
func (s *Supervisor) finish(e Event, err error) Event {
	var refused *store.RefusedError
	var undelivered *corefile.UndeliveredError
	switch {
	case err == nil:
		e.What = Captured
	case errors.As(err, &undelivered):
		e.undelivered(undelivered)
	case errors.As(err, &refused):
		e.What, e.Text, e.Path, e.Bytes = Refused, refused.Error(), "", 0
	default:
		e.What, e.Text, e.Path, e.Bytes = Failed, err.Error(), "", 0
	}
	s.report(e)
	if s.child != nil {
		e.PID = s.child.PID
	}
	return e
}

// admit checks the limits. An error other than a refusal does not prevent a
// core: an unreadable limit does not apply.
func (s *Supervisor) admit(reason string) (suppressed int, err error) {
	if s.config.Limits == nil {
		return 0, nil
	}
	suppressed, err = s.config.Limits(s.image.Load().name, reason)
	var refused *store.RefusedError
	if err != nil && !errors.As(err, &refused) {
		s.report(Event{What: Note, Text: "limits are not in force: " + err.Error()})
		return 0, nil
	}
	return suppressed, err
}

// describe returns how a program ended, in a shell's terms.
func describe(status unix.WaitStatus) string {
	if status.Signaled() {
		return "signal " + unix.SignalName(status.Signal())
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}
