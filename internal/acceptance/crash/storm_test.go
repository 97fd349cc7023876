//go:build linux

package crash

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/crasher"
)

// A program that execs, forks and starts threads all the time is captured again
// and again, by snapshots and by users at once: no capture hangs, the program
// runs on after each, and its end is seen.
func TestStorm(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	rounds := 20
	if os.Getenv("MEMINSPECT_FULL") != "" {
		rounds = 1000
	}
	for _, flag := range []string{"--exit-stop=auto", "--exit-stop=off"} {
		t.Run(flag, func(t *testing.T) {
			r := start(t, plainly, nil, program, []string{flag, "--snapshot=50ms", "--keep=5", "--limit=0", "--limit-all=0"}, "storm")
			pid := r.event(t, "started").PID
			taken := 0
			for round := range rounds {
				ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
				out, err := exec.CommandContext(ctx, tool(t), "trigger", "--dir", r.dir).CombinedOutput()
				if ctx.Err() != nil {
					t.Fatalf("round %d: the capture hangs: %s\n%s", round, out, threadStates(pid))
				}
				cancel()
				if err == nil {
					taken++
				}
				waitFor(t, func() bool { return !strings.Contains(threadStates(pid), " t ") })
			}
			t.Logf("%d of %d captures", taken, rounds)
			if taken == 0 {
				t.Error("it was never captured")
			}
			syscall.Kill(pid, syscall.SIGKILL)
			r.finish(t)
			if status := r.state.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
				t.Errorf("ended with %v", r.state)
			}
		})
	}
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
