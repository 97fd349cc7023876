//go:build linux

package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/supervise/trigger"
)

// A storm is what the program of TestStorm does, or what is done to it, while it is
// captured.
type storm struct {
	name string
	does string                             // the crasher's argument
	to   func(t *testing.T, pid int) func() // disturbs the program until the function that it returns is called
	ends bool                               // the program ends in each round
}

var storms = []storm{
	{name: "threads", does: "threads"},
	{name: "forks", does: "forks"},
	{name: "vforks", does: "vforks"},
	{name: "execs", does: "threads,execs"},
	{name: "all", does: "threads,forks,vforks,execs"},
	{name: "exits", does: "threads,exits", ends: true},
	{name: "killed", does: "threads,forks", ends: true, to: killed},
	{name: "frozen", does: "threads,forks", to: frozen},
	{name: "traced", does: "threads", to: traced},
}

// Whatever a program does or suffers while it is captured, by snapshots and by users
// at once: no capture hangs, the program runs on after each, and its end is seen.
// Several storms at once are a load of more than ten.
func TestStorm(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	tool(t) // built before there is a load
	rounds, ways := 10, []string{"one by one"}
	if matrix.Whole() {
		rounds, ways = 500, append(ways, "several at once") // 1,000 with both flags
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Cleanup(func() {
				load, _ := os.ReadFile("/proc/loadavg")
				t.Logf("load of the last 1, 5 and 15 minutes: %.15s", load)
			})
			for _, s := range storms {
				for _, flag := range []string{"--exit-stop=auto", "--exit-stop=off"} {
					t.Run(s.name+","+flag, func(t *testing.T) {
						if way == "several at once" {
							t.Parallel()
						}
						s.run(t, program, flag, rounds)
					})
				}
			}
		})
	}
}

// severalStorms is how many run at once.
const severalStorms = 5

// run captures the program so often while the storm goes on.
func (s *storm) run(t *testing.T, program, flag string, rounds int) {
	flags := []string{flag, "--snapshot=50ms", "--keep=5", "--limit=0", "--limit-all=0"}
	var r *started
	pid, taken := 0, 0
	var last error // of a capture
	begin := func() {
		r = start(t, plainly, nil, program, flags, "storm", s.does)
		pid = r.event(t, "started").PID
		// The supervisor listens soon after. A program that ends by itself may end before.
		for begun := time.Now(); len(trigger.Programs(r.dir)) == 0; time.Sleep(time.Millisecond) {
			if late := time.Since(begun); s.ends && late > time.Second {
				return
			} else if late > time.Minute {
				t.Fatal("the supervisor does not listen")
			}
		}
	}
	end := func(round int, want syscall.Signal) {
		_ = syscall.Kill(pid, want)
		r.finish(t)
		if status := r.state.Sys().(syscall.WaitStatus); !status.Exited() && status.Signal() != syscall.SIGKILL {
			t.Fatalf("round %d: ended with %v", round, r.state)
		}
	}
	calm := func() {}
	if !s.ends {
		begin()
		if s.to != nil {
			calm = s.to(t, pid)
		}
	}
	for round := range rounds {
		if s.ends {
			begin()
			if s.to != nil {
				calm = s.to(t, pid)
			}
		}
		err := ask(t, round, r.dir, pid)
		if err == nil {
			taken++
		} else {
			last = err
		}
		if s.to == nil && !s.ends {
			await.True(t, "no thread is stopped", func() bool { return !strings.Contains(threadStates(pid), " t ") })
		}
		if s.ends {
			calm()
			end(round, 0)
		}
	}
	t.Logf("%d of %d captures", taken, rounds)
	if s.ends {
		return
	}
	calm()
	await.True(t, "no thread is stopped", func() bool { return !strings.Contains(threadStates(pid), " t ") })
	if taken == 0 {
		t.Errorf("it was never captured, at last for: %v", last)
	}
	end(rounds, syscall.SIGKILL)
}

// ask has a program captured and returns why it was not. It fails the test if that
// takes too long.
func ask(t *testing.T, round int, dir string, pid int) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	// As `meminspect trigger` does, without the time that its process takes to start.
	answer, err := trigger.Send(ctx, dir, pid, trigger.Request{Reason: "asked"})
	if ctx.Err() != nil {
		t.Fatalf("round %d: the capture hangs: %v\n%s", round, err, threadStates(pid))
	}
	if err == nil && answer.Error != "" {
		err = errors.New(answer.Error)
	}
	return err
}

// killed kills the program a moment from now.
func killed(_ *testing.T, pid int) func() {
	done := make(chan bool)
	go func() {
		defer close(done)
		time.Sleep(time.Duration(time.Now().UnixNano()%30) * time.Millisecond) // any moment of a capture
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}()
	return func() { <-done }
}

// disturb calls on and off in turns until the function that it returns is called.
func disturb(on, off func()) func() {
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for {
			on()
			time.Sleep(3 * time.Millisecond) // longer than it is off, so that most captures meet it
			off()
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() { close(stop); <-done }
}

// frozen freezes the program's control group and thaws it, again and again.
func frozen(t *testing.T, pid int) func() {
	dir := fmt.Sprintf("/sys/fs/cgroup/freezer/meminspect-storm-%d", pid)
	file, on, off := dir+"/freezer.state", "FROZEN", "THAWED"
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrNotExist) { // version 2
		dir = fmt.Sprintf("/sys/fs/cgroup/meminspect-storm-%d", pid)
		file, on, off = dir+"/cgroup.freeze", "1", "0"
		err = os.Mkdir(dir, 0o755)
	}
	if err != nil {
		t.Skip("no control group with a freezer: ", err)
	}
	t.Cleanup(func() {
		if !await.Poll(func() bool { return os.Remove(dir) == nil }) { // its last process may be ending
			t.Errorf("the control group %s stays", dir)
		}
	})
	check(t, os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(pid)), 0))
	set := func(word string) func() { return func() { check(t, os.WriteFile(file, []byte(word), 0)) } }
	return disturb(set(on), set(off))
}

// traced stops the program as another tracer would, again and again.
func traced(t *testing.T, pid int) func() {
	other, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	release := func() {}
	return disturb(func() {
		if stopped, err := process.Stop(context.Background(), other, process.StopOptions{Wait: 300 * time.Millisecond}); err == nil {
			release = func() { stopped.Resume() }
		}
	}, func() { release(); release = func() {} })
}

// threadStates describes the threads of a process, a line each.
func threadStates(pid int) string {
	var b strings.Builder
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		stat, _ := os.ReadFile(task + "/stat")
		wchan, _ := os.ReadFile(task + "/wchan")
		_, rest, _ := strings.Cut(string(stat), ") ")
		fmt.Fprintf(&b, "%s %.1s %s\n", filepath.Base(task), rest, wchan)
	}
	return b.String()
}
