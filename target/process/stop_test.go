//go:build linux

package process_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/target/process"
)

// ended waits for the target's end, which its parent sees when the statuses of
// all its threads are taken.
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

// A process that is killed while it is stopped ends when it is let go, though
// its tracer lives on.
func TestStopKilled(t *testing.T) {
	tracer := process.NewTracer()
	defer tracer.Close()
	for range 5 {
		c := start(t, 10)
		s, err := tracer.Stop(context.Background(), c.Process, process.StopOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(c.PID, syscall.SIGKILL)
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		c.ended(t)
	}
}

// When the time for stopping is up, those that had stopped run on, and those
// that stop after that do too.
func TestStopCut(t *testing.T) {
	c := start(t, 20)
	tracer := process.NewTracer()
	defer tracer.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	cut := 0
	for range 20 {
		s, err := tracer.Stop(ctx, c.Process, process.StopOptions{})
		if err != nil {
			cut++
		} else if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			ids, err := c.ThreadIDs()
			if err != nil {
				t.Fatal(err)
			}
			traced := 0
			for _, id := range ids {
				if stat, err := c.ThreadStat(id); err == nil && stat.State == 't' {
					traced++
				}
			}
			if traced == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d threads stay stopped", traced)
			}
		}
	}
	c.ask(t)
	if cut == 0 {
		t.Error("no stop was cut short")
	}
}

// A main thread that was seized for its exit stop and is killed while it is
// stopped for a capture is left in its exit stop, where its owner finds it.
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
	s, err := tracer.Stop(context.Background(), c.Process, process.StopOptions{Seized: []int{c.PID}})
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(c.PID, syscall.SIGKILL)
	time.Sleep(50 * time.Millisecond) // until it is there
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if ids := s.Exiting(); len(ids) != 1 || ids[0] != c.PID {
		t.Errorf("%v are said to be at their end", ids)
	}
	time.Sleep(50 * time.Millisecond)
	if stat, err := c.ThreadStat(c.PID); err != nil || stat.State != 't' {
		t.Errorf("its main thread is in state %c, %v", stat.State, err)
	}
	_ = tracer.Do(func() { unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(c.PID), 0, 0, 0, 0) })
	c.ended(t)
}
