package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/matrix"
)

// rounds returns how often each test of this file stops a program.
func rounds() int {
	return matrix.Choose(30, 1000)
}

// Limits of a stop in these tests. The machine may be under load: the tests
// check that nothing waits forever.
const (
	stopWait = 300 * time.Millisecond
	patience = 10 * time.Second
)

// restless builds testdata/restless.c, once.
var restless = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "restless")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "restless")
	if out, err := exec.Command("gcc", "-O1", "-pthread", "-o", path, "testdata/restless.c").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func buildRestless(t *testing.T) string {
	t.Helper()
	path, err := restless()
	if err != nil {
		t.Fatal("building a C program: ", err)
	}
	return path
}

// A storm is a program that keeps changing, with its supervisor.
type storm struct {
	*Child
	proc  *process.Process
	pidfd int // its ID may soon be reused after its end
	ended chan unix.WaitStatus
	exits int

	frozen atomic.Bool // by freezer
}

func (s *storm) signal(sig unix.Signal) { _ = unix.PidfdSendSignal(s.pidfd, sig, nil, 0) } // it may have ended

func startStorm(t *testing.T, seize bool, delay int, mode string) *storm {
	t.Helper()
	keeper := process.NewTracer()
	path := buildRestless(t)
	c, notSeized, err := Start(Command{Path: path, Args: []string{path, strconv.Itoa(delay), mode}, Env: os.Environ(),
		Files: []uintptr{^uintptr(0), ^uintptr(0), os.Stderr.Fd()}}, keeper, seize)
	if err != nil {
		t.Fatal(err)
	}
	if notSeized != nil {
		t.Fatal(notSeized)
	}
	proc, err := process.Open(c.PID)
	if err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(c.PID, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &storm{Child: c, proc: proc, pidfd: pidfd, ended: make(chan unix.WaitStatus, 1)}
	go func() {
		status, _ := c.Wait(Events{Exiting: func(unix.WaitStatus) { s.exits++ }})
		s.ended <- status
	}()
	t.Cleanup(func() {
		s.signal(unix.SIGCONT)
		s.signal(unix.SIGKILL)
		unix.Close(pidfd)
		keeper.Close()
		proc.Close()
	})
	return s
}

// stop stops the program for a moment, and reports whether it could.
func (s *storm) stop(t *testing.T, round int) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	err := s.Capture(ctx, func(main *process.Tracer, held bool, _ func()) error {
		stopped, err := process.Stop(ctx, s.proc, process.StopOptions{Wait: stopWait, Main: main, MainHeld: held})
		if err != nil {
			return err
		}
		time.Sleep(200 * time.Microsecond) // what a short capture takes
		stopped.Resume()
		return nil
	})
	if took := time.Since(began); took > patience/2 {
		// A program that was frozen in exec keeps the keeper in PTRACE_SEIZE. Then only the
		// context ends the wait.
		if text := s.threads(); !s.frozen.Load() || !strings.Contains(text, "begin_new_exec") || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("round %d took %v: %v\n%s", round, took, err, text)
		}
	}
	return err == nil
}

// runsOn waits until a tracer stops no thread and no thread sleeps in exec.
func (s *storm) runsOn(t *testing.T, round int) {
	t.Helper()
	var text string
	if !await.Poll(func() bool {
		text = s.threads()
		return !strings.Contains(text, " t ") && !strings.Contains(text, "begin_new_exec") && !strings.Contains(text, "de_thread")
	}) {
		t.Fatalf("round %d: the program does not run on:\n%s", round, text)
	}
}

// threads describes the threads of the program.
func (s *storm) threads() string {
	var b strings.Builder
	ids, err := s.proc.ThreadIDs()
	if err != nil {
		return err.Error()
	}
	for _, id := range ids {
		stat, err := s.proc.ThreadStat(id)
		if err != nil {
			continue
		}
		wchan, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/wchan", s.PID, id))
		fmt.Fprintf(&b, "%d %c %s tracer %d\n", id, stat.State, wchan, Tracer(id))
	}
	return b.String()
}

// end kills the program and waits until its end is detected.
func (s *storm) end(t *testing.T) {
	t.Helper()
	s.signal(unix.SIGKILL)
	select {
	case status := <-s.ended:
		if status.Signal() != unix.SIGKILL {
			t.Errorf("it ended with %#x", status)
		}
	case <-time.After(patience):
		t.Fatalf("its end is not seen:\n%s", s.threads())
	}
}

// A program that starts threads, forks, and replaces itself by exec at any
// moment is stopped repeatedly: no round hangs, and the program continues.
func TestStorm(t *testing.T) {
	seizable(t)
	for _, seize := range []bool{true, false} {
		for _, mode := range []string{"e", "t", "f", "ef", "etf", "tm", "l", "el"} {
			t.Run(fmt.Sprintf("%s exit stop %v", mode, seize), func(t *testing.T) {
				s := startStorm(t, seize, 2000, mode)
				stops := 0
				for round := range rounds() {
					if s.stop(t, round) {
						stops++
					}
					s.runsOn(t, round)
				}
				t.Logf("%d of %d rounds stopped it", stops, rounds())
				if stops == 0 {
					t.Error("it was never stopped")
				}
				s.end(t)
			})
		}
	}
}

// The end of a program that ends, or is killed, while it is being stopped is
// detected with its own status.
func TestStormEnd(t *testing.T) {
	seizable(t)
	for _, mode := range []string{"x", "xet", "kill"} {
		t.Run(mode, func(t *testing.T) {
			for round := range rounds() {
				seize, want := round%2 == 0, unix.WaitStatus(3<<8)
				m := mode
				if mode == "kill" {
					m, want = "tf", unix.WaitStatus(unix.SIGKILL)
				}
				s := startStorm(t, seize, 3000, m)
				if mode == "kill" {
					go func() {
						time.Sleep(time.Duration(round%7) * time.Millisecond) // another moment in each round
						s.signal(unix.SIGKILL)
					}()
				}
				for ended := false; !ended; {
					select {
					case status := <-s.ended:
						ended = true
						if status != want && mode != "xet" {
							t.Errorf("round %d: it ended with %#x, want %#x", round, status, want)
						}
					default:
						s.stop(t, round)
					}
				}
				if seize && mode != "xet" && s.exits != 1 {
					t.Errorf("round %d: %d exit stops", round, s.exits)
				}
			}
		})
	}
}

// Stops by job-control signals, by the freezer of the program's control group
// and by another tracer end the capture by its deadline, and the program
// continues when they end.
func TestStormHeld(t *testing.T) {
	seizable(t)
	t.Run("SIGSTOP", func(t *testing.T) {
		s := startStorm(t, true, 2000, "et")
		disturb(t, func() { s.signal(unix.SIGSTOP) }, func() { s.signal(unix.SIGCONT) })
		for round := range rounds() {
			s.stop(t, round)
		}
		s.signal(unix.SIGCONT)
		s.runsOn(t, rounds())
		s.end(t)
	})
	t.Run("frozen", func(t *testing.T) {
		s := startStorm(t, true, 2000, "et")
		freeze := freezer(t, s)
		for round := range rounds() / 6 { // most rounds wait for the deadline
			freeze(true)
			s.stop(t, round)
			freeze(false)
			s.runsOn(t, round)
		}
		disturb(t, func() { freeze(true) }, func() { freeze(false) })
		for round := range rounds() / 6 {
			s.stop(t, round)
		}
		freeze(false)
		s.runsOn(t, rounds())
		s.end(t)
	})
	t.Run("frozen and SIGSTOP", func(t *testing.T) {
		s := startStorm(t, true, 2000, "t")
		freeze := freezer(t, s)
		for round := range rounds() / 6 {
			s.signal(unix.SIGSTOP)
			freeze(true)
			s.stop(t, round)
			freeze(false)
			s.signal(unix.SIGCONT)
			s.runsOn(t, round)
		}
		s.end(t)
	})
	t.Run("traced by another", func(t *testing.T) {
		s := startStorm(t, false, 2000, "et")
		stop := make(chan bool)
		var other sync.WaitGroup
		other.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if stopped, err := process.Stop(context.Background(), s.proc, process.StopOptions{Wait: stopWait}); err == nil {
					stopped.Resume()
				}
			}
		})
		for round := range rounds() {
			s.stop(t, round)
		}
		close(stop)
		other.Wait()
		s.runsOn(t, rounds())
		s.end(t)
	})
}

// disturb alternates between two states of a program until the test ends.
func disturb(t *testing.T, on, off func()) {
	stop := make(chan bool)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			for i, f := range []func(){on, off} {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(1+2*i) * time.Millisecond):
					f()
				}
			}
		}
	})
	done := sync.OnceFunc(func() { close(stop); running.Wait() })
	t.Cleanup(done)
}

// freezer puts the process into a new control group, and returns a function
// that freezes it and thaws it.
func freezer(t *testing.T, s *storm) func(bool) {
	t.Helper()
	dir := fmt.Sprintf("/sys/fs/cgroup/freezer/meminspect-test-%d", s.PID)
	file, words := dir+"/freezer.state", map[bool]string{true: "FROZEN", false: "THAWED"}
	if err := os.Mkdir(dir, 0o755); errors.Is(err, os.ErrNotExist) { // version 2
		dir = fmt.Sprintf("/sys/fs/cgroup/meminspect-test-%d", s.PID)
		file, words = dir+"/cgroup.freeze", map[bool]string{true: "1", false: "0"}
		err = os.Mkdir(dir, 0o755)
		if err != nil {
			t.Skip("no control group with a freezer: ", err)
		}
	} else if err != nil {
		t.Skip("no control group with a freezer: ", err)
	}
	set := func(frozen bool) {
		s.frozen.Store(frozen)
		if err := os.WriteFile(file, []byte(words[frozen]), 0); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(s.PID)), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		set(false)
		s.signal(unix.SIGKILL)
		await.Poll(func() bool { return os.Remove(dir) == nil })
	})
	return set
}
