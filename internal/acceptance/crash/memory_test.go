//go:build linux

package crash

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/groups"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// within is a surrounding inside a group.
func within(procs []string) surrounding {
	return surrounding{wrap: []string{"sh", "-c", groups.Enter(procs) + "exec \"$@\"", "sh"}}
}

// Close to its limit a program is captured, once, before the kernel kills it.
func TestMemoryPressure(t *testing.T) {
	inside := within(groups.Limited(t, 96<<20))
	program := crasher.Build(t, crasher.Plain)
	r := supervise(t, inside, program, []string{"--memory", "70"}, "grow")
	var memory, killed int
	for _, core := range r.cores(t) {
		switch {
		case strings.Contains(core, ".memory."):
			memory++
			checkValues(t, program, crasher.Plain, core)
		case strings.Contains(core, ".signal-sigkill."), strings.Contains(core, ".oom-kill."):
			killed++
		}
	}
	if memory != 1 || killed > 1 {
		t.Errorf("%d cores for memory, %d for the kill: %+v", memory, killed, r.events)
	}
}

// What others use of a group above the program's own counts too: the OOM killer
// does not ask whose it is.
func TestMemoryPressureOfOthers(t *testing.T) {
	above := groups.Limited(t, 96<<20)
	below := func(name string) (procs []string) {
		for _, p := range above {
			group := filepath.Join(filepath.Dir(p), name)
			if err := os.Mkdir(group, 0o755); err != nil {
				t.Skip("making a control group: ", err)
			}
			t.Cleanup(func() {
				await.Poll(func() bool { return os.Remove(group) == nil })
			})
			procs = append(procs, filepath.Join(group, "cgroup.procs"))
		}
		return procs
	}
	program := crasher.Build(t, crasher.Plain)
	r := start(t, within(below("ours")), nil, program, []string{"--memory=70"}, "wait")
	pid := r.event(t, "started").PID
	wrap := within(below("others")).wrap
	others := exec.Command(wrap[0], append(wrap[1:], program, "grow")...)
	if err := others.Start(); err != nil {
		t.Fatal(err)
	}
	core := r.event(t, "captured")
	others.Process.Kill()
	others.Wait()
	kill(t, pid)
	r.finish(t)
	out, err := command(t, "info", core.Path)
	if err != nil || core.Reason != "memory" || !strings.Contains(string(out), " bytes used (cgroup meminspect-test-") {
		t.Errorf("%+v, %v: %s", core, err, out)
	}
}

// A program that stalls on memory is captured, even if most of its memory is
// file cache: the kernel's pressure account reports the stall.
func TestMemoryStall(t *testing.T) {
	inside := within(groups.Limited(t, 64<<20))
	if _, err := os.Stat("/proc/pressure/memory"); err != nil {
		t.Skip("this kernel keeps no account of stalls: ", err)
	}
	program := crasher.Build(t, crasher.Plain)
	r := start(t, inside, nil, program, nil, "thrash", filepath.Join(t.TempDir(), "file"))
	pid := r.event(t, "started").PID
	core := r.event(t, "captured")
	kill(t, pid)
	r.finish(t)
	out, err := command(t, "info", core.Path)
	if err != nil || core.Reason != "memory" || !strings.Contains(string(out), "stood still for want of memory") {
		t.Errorf("%+v, %v: %s", core, err, out)
	}
}

// GOMEMLIMIT is a limit like a group's, for a program with a collector of its
// own too, which must not have it.
func TestGoMemoryLimit(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for _, s := range []surrounding{{name: "run"}, {name: "monitor", monitor: true}} {
		t.Run(s.name, func(t *testing.T) {
			r := start(t, s, []string{"GOMEMLIMIT=48MiB"}, program, []string{"--memory=70"}, "grow")
			pid := r.event(t, "started").PID
			core := r.event(t, "captured")
			kill(t, pid)
			r.finish(t)
			out, err := command(t, "info", core.Path)
			if err != nil || core.Reason != "memory" || !strings.Contains(string(out), "(GOMEMLIMIT)") {
				t.Errorf("%+v, %v: %s", core, err, out)
			}
			checkValues(t, program, crasher.Plain, core.Path)
		})
	}
}

// What the program sets itself counts, found in stripped programs too, and
// against GOMEMLIMIT: a lower limit that it took away rings no alarm.
func TestSetMemoryLimit(t *testing.T) {
	variants := []crasher.Variant{crasher.PIE, crasher.Stripped, "go1.27.3"}
	if matrix.Whole() {
		variants = append(crasher.Variants(), "go1.27.3", "go1.25.5", "go1.24.9")
	}
	for _, v := range variants {
		t.Run(string(v), func(t *testing.T) {
			program := crasher.Build(t, v)
			r := start(t, plainly, nil, program, []string{"--memory=70"}, "limit", strconv.Itoa(64<<20))
			pid := r.event(t, "started").PID
			core := r.event(t, "captured")
			kill(t, pid)
			r.finish(t)
			out, err := command(t, "info", core.Path)
			if err != nil || core.Reason != "memory" || !strings.Contains(string(out), "of 67108864 bytes used (debug.SetMemoryLimit)") {
				t.Errorf("%+v, %v: %s", core, err, out)
			}
			checkValues(t, program, v, core.Path)
		})
	}
	t.Run("taken away", func(t *testing.T) {
		r := start(t, plainly, []string{"GOMEMLIMIT=32MiB"}, crasher.Build(t, crasher.Plain), []string{"--memory=70"}, "limit", strconv.FormatInt(math.MaxInt64, 10))
		pid := r.event(t, "started").PID
		await.True(t, "the program uses 48 MiB", func() bool { return resident(t, pid) >= 48<<20 })
		time.Sleep(1200 * time.Millisecond) // more than a look
		kill(t, pid)
		r.finish(t)
		for _, e := range r.events {
			if e.Reason == "memory" {
				t.Errorf("%+v", e)
			}
		}
	})
}

// A program that the OOM killer ends is let go before the kernel takes its memory
// back, and the record of a core names that as the cause of what is missing.
func TestOOMKill(t *testing.T) {
	inside := within(groups.Limited(t, 64<<20))
	program := crasher.Build(t, crasher.Plain)
	for _, flag := range []string{"--exit-stop=auto", "--exit-stop=off"} {
		t.Run(flag, func(t *testing.T) {
			var r *run
			for attempt := 1; ; attempt++ {
				r = supervise(t, inside, program, []string{"--memory=0", "--snapshot=50ms", flag}, "grow")
				if status := r.state.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL && status.ExitStatus() != 128+int(syscall.SIGKILL) {
					t.Errorf("ended with %v", r.state)
				}
				// The supervisor is in the same group: if it needs memory before the kernel has
				// freed the program's, the OOM killer ends it too, and it reports no end.
				if slices.ContainsFunc(r.events, func(e event) bool { return e.What == "ended" }) {
					break
				}
				if attempt == 8 {
					t.Fatalf("the supervisor was killed %d times: %+v", attempt, r.events)
				}
				t.Logf("attempt %d: the supervisor was killed too", attempt)
			}
			cores := r.cores(t)
			if len(cores) != 1 || !strings.Contains(cores[0], ".oom-kill.") {
				t.Fatalf("cores %v: %+v", cores, r.events)
			}
			core, err := inspect.Open(cores[0])
			if err != nil {
				t.Fatal(err)
			}
			defer core.Close()
			// The cause is named by a core of what was left to read, and by the last snapshot,
			// which is the core if nothing was.
			named := slices.ContainsFunc(core.Capture.Extra, func(p note.Pair) bool {
				return core.Capture.Why == "oom-kill" && p.Key == "oom-kill" || core.Capture.Why == "snapshot" && p.Key == "snapshot-age" && strings.HasSuffix(strings.TrimSpace(p.Value), " before oom-kill")
			})
			if !named {
				t.Errorf("the record does not name the OOM killer: %+v", core.Capture)
			}
			for _, e := range r.events {
				if e.Held > 3*time.Second { // the kernel waits for two
					t.Errorf("it was held for %v", e.Held)
				}
			}
		})
	}
}

// A program is killed just after it entered a group in which the OOM killer has
// killed before, while its supervisor has no processor time: how often it had killed
// there is not known. The kernel's log shows the truth, if its numbers of processes
// are ours. Without it the core reports what is not known.
func TestOOMKillInANewGroup(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for _, c := range []struct {
		name string
		wrap []string
	}{{"alone", nil}, {"PID namespace", []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}}} {
		t.Run(c.name, func(t *testing.T) {
			procs := groups.Limited(t, 24<<20)
			before := exec.Command("sh", "-c", groups.Enter(procs)+"exec tail /dev/zero")
			if err := before.Run(); before.ProcessState == nil || before.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatal(err)
			}
			gate := filepath.Join(t.TempDir(), "gate")
			check(t, syscall.Mkfifo(gate, 0o600))
			// A signal to the main thread would wait for the supervisor.
			r := start(t, surrounding{wrap: c.wrap}, []string{"GODEBUG=asyncpreemptoff=1"}, "sh", []string{"--memory=0"}, "-c", "read go < "+gate+"; "+groups.Enter(procs)+"exec "+program+" grow")
			r.event(t, "started")
			supervisor := r.cmd.Process.Pid
			if c.wrap != nil {
				child := must(os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", supervisor)))
				supervisor = must(strconv.Atoi(strings.TrimSpace(string(child))))
			}
			opened := must(os.OpenFile(gate, os.O_WRONLY, 0)) // when the shell waits
			defer opened.Close()
			check(t, syscall.Kill(supervisor, syscall.SIGSTOP))
			must(opened.WriteString("go\n"))
			await.True(t, "the program is killed", func() bool { return oomKills(t, procs) == 2 })
			check(t, syscall.Kill(supervisor, syscall.SIGCONT))
			r.finish(t)
			cores := r.cores(t)
			if len(cores) != 1 {
				t.Fatalf("cores %v: %+v", cores, r.events)
			}
			log, err := os.Open("/dev/kmsg")
			if err == nil {
				log.Close()
			}
			info, title := string(must(command(t, "info", cores[0]))), string(must(command(t, "report", cores[0])))
			if err == nil && c.wrap == nil {
				if !strings.Contains(cores[0], ".oom-kill.") || !strings.Contains(title, "was killed by the OOM killer") {
					t.Errorf("%s: %+v\n%s", cores[0], r.events, title)
				}
				return
			}
			noted := slices.ContainsFunc(r.events, func(e event) bool {
				return e.What == "note" && strings.HasPrefix(e.Text, "whether the kernel's OOM killer sent SIGKILL is not known")
			})
			if !noted || !strings.Contains(cores[0], ".signal-sigkill.") || !regexp.MustCompile("oom-kill: +not known").MatchString(info) || !strings.Contains(title, "was ended by SIGKILL: perhaps by the OOM killer") {
				t.Errorf("%s: %+v\n%s\n%s", cores[0], r.events, info, title)
			}
		})
	}
}

// oomKills returns how often the OOM killer has killed in a group.
func oomKills(t *testing.T, procs []string) int {
	t.Helper()
	for _, p := range procs {
		for _, name := range []string{"memory.events", "memory.oom_control"} {
			text, _ := os.ReadFile(filepath.Join(filepath.Dir(p), name))
			for line := range strings.Lines(string(text)) {
				if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
					return must(strconv.Atoi(strings.TrimSpace(n)))
				}
			}
		}
	}
	t.Skip("no group here counts OOM kills")
	return 0
}
