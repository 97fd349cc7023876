//go:build linux

package crash

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/matrix"
)

// A filterCase is a seccomp filter: whether it kills what makes one of the calls, or refuses
// the call.
type filterCase struct {
	name  string
	kills bool
	calls string
}

func filterCases() []filterCase {
	var all []filterCase
	for _, calls := range []string{"ptrace", "process_vm_readv", "ptrace,process_vm_readv", "ptrace,process_vm_readv,kcmp,pidfd_open"} {
		all = append(all, filterCase{"refuse " + calls, false, calls}, filterCase{"kill " + calls, true, calls})
	}
	return all
}

func (c filterCase) wrap(t *testing.T) []string {
	line := []string{helper(t, "seccomp"), "-calls=" + c.calls}
	if c.kills {
		line = append(line, "-kill")
	}
	return append(line, "--")
}

func (c filterCase) traces() bool { return !strings.Contains(c.calls, "ptrace") }

// A seccomp filter takes from run what needs the call, and nothing else: neither the status of
// the program nor the cores that can be made without the call. That it kills, as that of
// systemd does, makes no difference.
func TestFilters(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for _, c := range filterCases() {
		if !matrix.Whole() && !c.kills {
			continue
		}
		for _, flags := range [][]string{nil, {"--exit-stop=off"}} {
			for _, way := range []struct {
				name, reason string
				exit         bool // only the exit stop notices it
			}{{name: "panic", reason: "panic"}, {"sigkill", "signal-sigkill", true}, {"exit3", "exit-3", true}} {
				t.Run(strings.Join(append([]string{c.name, way.name}, flags...), "/"), func(t *testing.T) {
					r := supervise(t, surrounding{wrap: c.wrap(t)}, program, flags, way.name)
					alone := exec.Command(program, way.name)
					_ = alone.Run() // it dies
					if got, want := r.state.Sys().(syscall.WaitStatus)&^0x80, alone.ProcessState.Sys().(syscall.WaitStatus)&^0x80; got != want {
						t.Errorf("ended with %#x, without us with %#x; it printed %.500s", got, want, r.stderr.String())
					}
					c.checkPromise(t, r, flags)
					stops := c.traces() && flags == nil
					if way.exit && !stops {
						if cores := r.cores(t); len(cores) != 0 {
							t.Errorf("cores of an end that was not observed: %v", cores)
						}
						return
					}
					core := r.one(t, way.reason)
					if out, err := command(t, "print", core, "counter"); err != nil || string(out) != "main.counter = 4711\n" {
						t.Errorf("%v: %s", err, out)
					}
				})
			}
		}
	}
}

// checkPromise checks that the first line promises other ends only if they will be noticed.
func (c filterCase) checkPromise(t *testing.T, r *run, flags []string) {
	t.Helper()
	if len(r.events) == 0 || r.events[0].What != "started" {
		t.Fatalf("there is no first line: %+v, %.500s", r.events, r.stderr.String())
	}
	line := r.events[0].Text
	captured, _, _ := strings.Cut(line, "not captured: ")
	if got, want := strings.Contains(captured, "kills and failing exits"), c.traces() && flags == nil; got != want {
		t.Errorf("it promises other ends: %v, want %v: %s", got, want, line)
	}
	if want := "kills and failing exits (exit stop: a seccomp filter kills a process that calls ptrace)"; c.kills && !c.traces() && flags == nil && !strings.Contains(line, want) {
		t.Errorf("the first line lacks %q: %s", want, line)
	}
	if strings.Contains(line, "does not embed") {
		t.Errorf("it denies the runtime of the program: %s", line)
	}
}

// The other commands that read a process do without the calls too, and doctor names them.
func TestFiltersOfCommands(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for _, c := range filterCases() {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, plainly, nil, program, []string{"--exit-stop=off"}, "wait")
			r.event(t, "started")
			waitOutput(t, r, "ready")
			pid := strconv.Itoa(r.events[0].PID)
			filtered := func(args ...string) (string, int) {
				line := append(append(c.wrap(t), tool(t)), args...)
				cmd := exec.Command(line[0], line[1:]...)
				var out bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &out
				_ = cmd.Run()
				return out.String(), cmd.ProcessState.ExitCode()
			}
			for _, flag := range []string{"--quiet", "--stop", "--no-stop"} {
				core := filepath.Join(t.TempDir(), "a.core")
				const incomplete = 3 // a core, in which something is missing
				out, status := filtered("capture", flag, "-o", core, pid)
				if status != 0 && status != incomplete {
					t.Fatalf("capture %s: status %d: %s", flag, status, out)
				}
				if flag == "--stop" && !c.traces() {
					if !strings.Contains(out, "stop process "+pid) {
						t.Errorf("capture %s does not report why it did not: %s", flag, out)
					}
					continue // it was to stop the program or not to read it
				}
				if out, err := command(t, "print", core, "counter"); err != nil || string(out) != "main.counter = 4711\n" {
					t.Errorf("%v: %s", err, out)
				}
			}
			if out, status := filtered("trigger", "--dir", r.dir, pid); status != 0 {
				t.Errorf("trigger: status %d: %s", status, out)
			}
			out, status := filtered("doctor", pid)
			if status != 1 {
				t.Errorf("doctor: status %d: %s", status, out)
			}
			for name := range strings.SplitSeq(c.calls, ",") {
				if (name == "ptrace" || name == "process_vm_readv") && !strings.Contains(out, name) {
					t.Errorf("doctor does not name %s: %s", name, out)
				}
			}
		})
	}
}

// A core that is for a command waits if starting a command would kill run, and nothing
// is lost.
func TestFilterOfCommandForCores(t *testing.T) {
	for _, kills := range []bool{false, true} {
		c := filterCase{kills: kills, calls: "pidfd_open"}
		file := filepath.Join(t.TempDir(), "core")
		r := supervise(t, surrounding{wrap: c.wrap(t)}, crasher.Build(t, crasher.Plain), []string{"--to", "exec:tee " + file}, "panic")
		if status := r.state.ExitCode(); status != 2 {
			t.Errorf("kills %v: %v, %.500s", kills, r.state, r.stderr.String())
		}
		if _, err := os.Stat(file); (err == nil) == kills || r.has("undelivered") != kills {
			t.Errorf("kills %v: %v; %+v", kills, err, r.events)
		}
	}
}

// A filter that kills does not end a program that reads its own memory.
func TestFilterOfProgram(t *testing.T) {
	c := filterCase{kills: true, calls: "process_vm_readv,ptrace,kcmp"}
	dir := t.TempDir()
	line := append(c.wrap(t), helper(t, "backends"), dir)
	cmd := exec.Command(line[0], line[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- cmd.Wait() }()
	ready := func() bool {
		_, err := os.Stat(filepath.Join(dir, "ready"))
		return err == nil || len(end) > 0
	}
	if !await.Poll(ready) || len(end) > 0 {
		t.Error("it did not get ready")
	}
	cmd.Process.Kill()
	<-end
}
