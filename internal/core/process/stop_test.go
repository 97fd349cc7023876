//go:build linux

package process_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
)

// Every thread is stopped with registers that point into its mappings, and all
// continue afterwards.
func TestStop(t *testing.T) {
	c := start(t, 20)
	for range 20 {
		s, err := process.Stop(context.Background(), c.Process, process.StopOptions{FloatingPoint: true, Extended: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.state(t); got != "t" {
			t.Errorf("threads are in states %s while they are stopped", got)
		}
		if len(s.Threads) < 21 || len(s.Missed) > 0 {
			t.Errorf("%d threads stopped, missed %v", len(s.Threads), s.Missed)
		}
		maps, _ := c.Maps()
		for _, th := range s.Threads {
			pcIn, spIn := false, false
			for _, m := range maps {
				pcIn = pcIn || m.Exec && m.Contains(memory.Address(th.PC()))
				spIn = spIn || m.Write && m.Contains(memory.Address(th.SP()))
			}
			if !pcIn || !spIn || th.TLS == 0 || len(th.Float) == 0 {
				t.Errorf("thread %d: pc %#x sp %#x tls %#x, %d bytes of floating point",
					th.ID, th.PC(), th.SP(), th.TLS, len(th.Float))
			}
			if float, err := s.KernelFloat(th.ID); err != nil || !bytes.Equal(th.Float, float) {
				t.Errorf("thread %d: %x, not the kernel's %x: %v", th.ID, th.Float, float, err)
			}
		}
		s.Resume()
		c.ask(t)
	}
}

// A signal that arrives while a thread is stopped, or that stopped it, is not
// lost.
func TestStopKeepsSignals(t *testing.T) {
	c := start(t, 4)
	for round := 1; round <= 40; round++ {
		_ = syscall.Kill(c.PID, syscall.SIGUSR1)
		s, err := process.Stop(context.Background(), c.Process, process.StopOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.Resume()
		// These signals do not queue: wait for each.
		got := ""
		for end := time.Now().Add(10 * time.Second); got != strconv.Itoa(round) && time.Now().Before(end); {
			got = c.ask(t)
		}
		if got != strconv.Itoa(round) {
			t.Fatalf("%s of %d signals arrived", got, round)
		}
	}
}

// A process that SIGSTOP stopped stays stopped until SIGCONT.
func TestStopOfStopped(t *testing.T) {
	c := start(t, 2)
	_ = syscall.Kill(c.PID, syscall.SIGSTOP)
	waitState(t, c, "T")
	s, err := process.Stop(context.Background(), c.Process, process.StopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Missed) > 0 {
		t.Errorf("missed %v", s.Missed)
	}
	s.Resume()
	time.Sleep(20 * time.Millisecond) // for a thread that runs on
	waitState(t, c, "T")
	_ = syscall.Kill(c.PID, syscall.SIGCONT)
	c.ask(t)
}

func waitState(t *testing.T, c *child, want string) {
	t.Helper()
	got := ""
	if !await.Poll(func() bool { got = c.state(t); return got == want }) {
		t.Fatalf("threads are in states %s, not %s", got, want)
	}
}

// If the collector is killed in the middle, its target keeps running.
func TestCollectorKilled(t *testing.T) {
	c := start(t, 4)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "PROCESS_TEST_ROLE=collector", fmt.Sprint("PROCESS_TEST_PID=", c.PID))
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if lines := bufio.NewScanner(out); !lines.Scan() {
		t.Fatal("the collector did not stop its target")
	}
	waitState(t, c, "t")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	c.ask(t)
	if got := c.state(t); strings.ContainsAny(got, "tT") {
		t.Errorf("threads are in states %s after the collector was killed", got)
	}
}

// A second tracer gets an error that explains why it cannot trace.
func TestStopTwice(t *testing.T) {
	c := start(t, 0)
	s, err := process.Stop(context.Background(), c.Process, process.StopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := process.Stop(context.Background(), c.Process, process.StopOptions{}); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a second tracer gets %v", err)
	}
	s.Resume()
	c.ask(t)
}

// A thread that the tracer has already seized is stopped with the others, and
// stays the tracer's afterwards.
func TestStopSeized(t *testing.T) {
	c := start(t, 3)
	tracer := process.NewTracer()
	defer tracer.Close()
	err := errors.New("not run")
	_ = tracer.Do(func() {
		_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(c.PID), 0, unix.PTRACE_O_TRACEEXIT, 0, 0)
		err = nil
		if errno != 0 {
			err = errno
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		s, err := process.Stop(context.Background(), c.Process, process.StopOptions{Main: tracer})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Threads) < 4 || len(s.Missed) > 0 {
			t.Errorf("%d threads stopped, missed %v", len(s.Threads), s.Missed)
		}
		s.Resume()
		c.ask(t)
	}
	// When killed, it stops at its exit, where it stays while it is captured.
	_ = syscall.Kill(c.PID, syscall.SIGKILL)
	_ = tracer.Do(func() {
		for {
			var status unix.WaitStatus
			_, err = unix.Wait4(c.PID, &status, unix.WALL, nil)
			if err != nil || int(status)>>16 == unix.PTRACE_EVENT_EXIT {
				return
			}
			_, _, _ = unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_CONT, uintptr(c.PID), 0, 0, 0, 0)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := process.Stop(context.Background(), c.Process, process.StopOptions{Main: tracer, MainHeld: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Threads) != 1 || s.Threads[0].SP() == 0 {
		t.Errorf("of a process at its end, threads %+v", s.Threads)
	}
	if v, err := (memory.Reader{Memory: c.Memory()}).Uint64(c.words); err != nil || v != words[0] {
		t.Errorf("a word of it is %x, %v", v, err)
	}
	s.Resume()
}

// ended waits for the target's end, which its parent sees when the statuses of
// all its threads have been consumed.
func (c *child) ended(t *testing.T) {
	t.Helper()
	end := make(chan error, 1)
	go func() { end <- c.cmd.Wait() }()
	select {
	case <-end:
	case <-time.After(10 * time.Second):
		t.Fatalf("its end is not seen; its threads are in states %s", c.state(t))
	}
}

// A process that is killed while it is stopped ends when it is released, even
// if its tracer lives on.
func TestStopKilled(t *testing.T) {
	for range 5 {
		c := start(t, 10)
		s, err := process.Stop(context.Background(), c.Process, process.StopOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(c.PID, syscall.SIGKILL)
		s.Resume()
		c.ended(t)
	}
}

// When the time limit for stopping passes, the stopped threads continue, and so
// do those that stop later.
func TestStopCut(t *testing.T) {
	c := start(t, 20)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	cut := 0
	for range 20 {
		s, err := process.Stop(ctx, c.Process, process.StopOptions{})
		if err != nil {
			cut++
		} else {
			s.Resume()
		}
		await.True(t, "no thread is stopped", func() bool {
			ids, err := c.ThreadIDs()
			if err != nil {
				t.Fatal(err)
			}
			return !slices.ContainsFunc(ids, func(id int) bool {
				stat, err := c.ThreadStat(id)
				return err == nil && stat.State == 't'
			})
		})
	}
	c.ask(t)
	if cut == 0 {
		t.Error("no stop was cut short")
	}
}

// A main thread that was seized for its exit stop and is killed while it is
// stopped for a capture stays in its exit stop, where its owner finds it.
func TestStopSeizedKilled(t *testing.T) {
	c := start(t, 3)
	tracer := process.NewTracer()
	defer tracer.Close()
	var errno syscall.Errno
	_ = tracer.Do(func() {
		_, _, errno = unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(c.PID), 0, unix.PTRACE_O_TRACEEXIT, 0, 0)
	})
	if errno != 0 {
		t.Fatal(errno)
	}
	s, err := process.Stop(context.Background(), c.Process, process.StopOptions{Main: tracer})
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(c.PID, syscall.SIGKILL)
	time.Sleep(50 * time.Millisecond) // until it is in its exit stop: its state is t before and after
	s.Resume()
	time.Sleep(50 * time.Millisecond) // for a thread that leaves its exit stop
	if stat, err := c.ThreadStat(c.PID); err != nil || stat.State != 't' {
		t.Errorf("its main thread is in state %c, %v", stat.State, err)
	}
	_ = tracer.Do(func() { _, _, errno = unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(c.PID), 0, 0, 0, 0) })
	if errno != 0 {
		t.Errorf("detaching: %v", errno)
	}
	c.ended(t)
}

// The kernel takes the memory of a killed process back, as after an OOM kill, while it
// is in its exit stop. Its variables are then read with their values in the executable,
// without an error, and the check reports that.
func TestReclaimed(t *testing.T) {
	c := start(t, 3)
	image, err := c.Image()
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	before, ok := image.DataPages()
	if !ok || len(before) == 0 {
		t.Fatalf("pages of variables: %v, %v", before, ok)
	}
	if err := image.CheckKept(before); err != nil {
		t.Errorf("of a living program: %v", err)
	}
	tracer := process.NewTracer()
	defer tracer.Close()
	fd, err := unix.PidfdOpen(c.PID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	_ = tracer.Do(func() {
		if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(c.PID), 0, unix.PTRACE_O_TRACEEXIT, 0, 0); errno != 0 {
			err = errno
			return
		}
		_ = syscall.Kill(c.PID, syscall.SIGKILL)
		var status unix.WaitStatus
		if _, err = unix.Wait4(c.PID, &status, unix.WALL, nil); err == nil && int(status)>>16 != unix.PTRACE_EVENT_EXIT {
			err = fmt.Errorf("the wait status is %#x", status)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := image.CheckKept(before); err != nil {
		t.Errorf("of a program in its exit stop: %v", err)
	}
	reader := memory.Reader{Memory: c.Memory()}
	if v, err := reader.Uint64(c.words + 24); err != nil || v != 5 {
		t.Errorf("a variable is %d, %v; the program has set it to 5", v, err)
	}
	switch _, _, errno := unix.Syscall(unix.SYS_PROCESS_MRELEASE, uintptr(fd), 0, 0); {
	case errors.Is(errno, unix.ENOSYS), errors.Is(errno, unix.EPERM):
		t.Skip("this system does not take memory back: ", errno)
	case errno != 0:
		t.Fatal(errno)
	}
	v, err := reader.Uint64(c.words + 24)
	t.Logf("the variable is read as %d, %v", v, err)
	for name, before := range map[string]process.DataPages{"before": before, "after": {}} {
		if err := image.CheckKept(before); !errors.Is(err, process.ErrReclaimed) {
			t.Errorf("with the pages from %s: %v", name, err)
		}
	}
}
