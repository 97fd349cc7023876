//go:build linux

package crash

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/debuggers"
)

// A program whose children panic, that sets its own crash output, that gives up
// its rights: works, or reports what was lost.
func TestOddPrograms(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	t.Run("own crash output", func(t *testing.T) {
		own := filepath.Join(t.TempDir(), "own")
		r := supervise(t, plainly, program, nil, "own", own)
		r.one(t, "exit-2")
		if !r.has("note") {
			t.Errorf("not printed what was lost: %+v", r.events)
		}
		if text, _ := os.ReadFile(own); !bytes.Contains(text, []byte("into a file of my own")) {
			t.Errorf("its own crash output: %q", text)
		}
	})
	t.Run("crash text copied", func(t *testing.T) {
		// What such a program wants without losing its cores.
		copied := filepath.Join(t.TempDir(), "text")
		for range 2 {
			r := supervise(t, plainly, program, []string{"--crash-text", copied}, "panic")
			r.one(t, "panic")
		}
		if text, _ := os.ReadFile(copied); bytes.Count(text, []byte("panic: it went wrong\n\ngoroutine 1 [running]:\n")) != 2 {
			t.Errorf("the copy: %q", text)
		}
		if text, _ := os.ReadFile(copied); bytes.Contains(text, []byte("(0x")) {
			t.Errorf("the copy has arguments: %q", text)
		}
		r := supervise(t, plainly, program, []string{"--crash-text", "/no/such/place"}, "panic")
		if r.one(t, "panic"); !r.has("note") {
			t.Errorf("a copy that failed is not reported: %+v", r.events)
		}
	})
	t.Run("another crash monitor", func(t *testing.T) {
		// It reads the report through a pipe of its own, as x/telemetry's does.
		report := filepath.Join(t.TempDir(), "report")
		r := supervise(t, plainly, program, nil, "telemetry", report)
		r.one(t, "exit-2")
		if !r.has("note") {
			t.Errorf("not printed what was lost: %+v", r.events)
		}
		if text := waitFile(t, report); !strings.HasPrefix(text, "crash\nmain.crashMonitored\n") {
			t.Errorf("the other monitor's report: %q", text)
		}
	})
	t.Run("drop", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("giving up root needs root")
		}
		r := supervise(t, plainly, program, nil, "drop")
		checkValues(t, program, crasher.Plain, r.one(t, "panic"))
		// A supervisor that may no longer read it stores what it knows: the text
		// came by the socket. Whether its message is an excluded value is not known.
		weak := surrounding{wrap: []string{"setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "--"}}
		r = supervise(t, weak, program, nil, "drop")
		out, err := command(t, "info", r.one(t, "panic"))
		if err != nil || !bytes.Contains(out, []byte("panic: (message left out)\n\ngoroutine 1 [running]:\nmain.dropPrivileges(...)")) || r.state.ExitCode() != 2 {
			t.Errorf("%v, %v: %s", r.state, err, out)
		}
	})
	t.Run("not go", func(t *testing.T) {
		r := supervise(t, plainly, "/bin/sh", nil, "-c", "exit 7")
		if r.state.ExitCode() != 7 || !strings.Contains(r.events[0].Text, "not a Go program") {
			t.Errorf("%v, %+v", r.state, r.events)
		}
	})
	t.Run("not there", func(t *testing.T) {
		out, err := exec.Command(tool(t), "run", "--", "/no/such/program").CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "meminspect: run: ") {
			t.Errorf("%v, %s", err, out)
		}
	})
}

// As process 1 it reaps orphans and ends with the program; a supervisor that is
// killed leaves the program alone, and lets it crash.
func TestProcess(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	t.Run("init", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("a pid namespace needs root")
		}
		inside := surrounding{wrap: []string{"unshare", "--pid", "--fork", "--mount-proc"}}
		r := supervise(t, inside, program, nil, "orphan")
		if r.state.ExitCode() != 0 {
			t.Errorf("%v: %s", r.state, r.stderr.String())
		}
		if strings.Contains(r.stdout.String(), "zombie") || !strings.Contains(r.stdout.String(), "reaped") {
			t.Errorf("orphans: %s", r.stdout.String())
		}
		for way, want := range map[string]int{"exit3": 3, "sigkill": 137, "panic": 2} {
			r := supervise(t, inside, program, nil, way)
			if r.state.ExitCode() != want || len(r.cores(t)) != 1 {
				t.Errorf("%s: %v, %+v", way, r.state, r.events)
			}
		}
	})
	t.Run("init passes signals on", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("a pid namespace needs root")
		}
		inside := surrounding{wrap: []string{"unshare", "--pid", "--fork", "--mount-proc"}}
		r := start(t, inside, nil, program, nil, "signals")
		r.event(t, "started")
		waitOutput(t, r, "ready")
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", r.cmd.Process.Pid))
		init, aerr := strconv.Atoi(strings.TrimSpace(string(children)))
		if err != nil || aerr != nil {
			t.Fatalf("unshare has the children %q, %v", children, err)
		}
		// As a container's runtime does: to process 1, from outside.
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR2} {
			syscall.Kill(init, sig)
			waitOutput(t, r, "got "+sig.String())
		}
		syscall.Kill(init, syscall.SIGTERM)
		r.finish(t)
		if r.state.ExitCode() != 5 {
			t.Errorf("ended with %v: %s", r.state, r.stderr.String())
		}
		if s := state(init); s != "" {
			t.Errorf("process 1 outlives the program, in state %s", s)
		}
	})
	t.Run("killed", func(t *testing.T) {
		r := start(t, plainly, nil, program, nil, "wait")
		pid := r.event(t, "started").PID
		waitOutput(t, r, "ready")
		r.cmd.Process.Kill()
		time.Sleep(200 * time.Millisecond) // for a program that does not outlive its supervisor to end
		if s := state(pid); s != "S" {
			t.Fatalf("the program is in state %s without its supervisor", s)
		}
		syscall.Kill(pid, syscall.SIGQUIT)
		if err := waitEnd(pid); err != nil {
			t.Errorf("without its supervisor: %v", err)
			kill(t, pid)
		}
	})
}

// With an attached debugger only registers are missing in a core; with the exit
// stop on, the debugger gets an error at once.
func TestDelveAttached(t *testing.T) {
	dlv := debuggers.Need(t, "dlv")
	program := crasher.Build(t, crasher.Plain)
	attach := func(pid int) *exec.Cmd {
		cmd := exec.Command(dlv, "attach", strconv.Itoa(pid), "--allow-non-terminal-interactive=true")
		// It stops where the fatal report begins, and then continues.
		cmd.Stdin = strings.NewReader("continue\ncontinue\ncontinue\n")
		cmd.WaitDelay = time.Second
		return cmd
	}
	t.Run("without exit stop", func(t *testing.T) {
		r := start(t, plainly, nil, program, []string{"--exit-stop=off"}, "wait")
		pid := r.event(t, "started").PID
		waitOutput(t, r, "ready")
		cmd := attach(pid)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
		await.True(t, "Delve attaches", func() bool { // the program runs again once Delve has set itself up
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			return !bytes.Contains(status, []byte("TracerPid:\t0\n")) && state(pid) == "S"
		})
		time.Sleep(300 * time.Millisecond) // it may sleep between two of Delve's steps, too
		syscall.Kill(pid, syscall.SIGQUIT)
		r.finish(t)
		checkValues(t, program, crasher.Plain, r.one(t, "signal-sigquit"))
		if r.state.ExitCode() != 2 {
			t.Errorf("ended with %v", r.state)
		}
	})
	t.Run("with exit stop", func(t *testing.T) {
		r := start(t, plainly, nil, program, nil, "wait")
		pid := r.event(t, "started").PID
		waitOutput(t, r, "ready")
		if out, err := attach(pid).CombinedOutput(); err == nil || !bytes.Contains(out, []byte("already being debugged")) {
			t.Errorf("Delve: %v, %s", err, out)
		}
		syscall.Kill(pid, syscall.SIGQUIT)
		r.finish(t)
		r.one(t, "signal-sigquit")
	})
}

// waitFile waits for a file that is renamed into place.
func waitFile(tb testing.TB, path string) string {
	tb.Helper()
	var text []byte
	await.True(tb, "file "+path, func() (ok bool) {
		var err error
		text, err = os.ReadFile(path)
		return err == nil
	})
	return string(text)
}

// ticks returns the processor time of a process in user mode, in hundredths of a second.
func ticks(pid string) (n int) {
	text, _ := os.ReadFile("/proc/" + pid + "/stat")
	if _, rest, ok := strings.Cut(string(text), ") "); ok {
		n, _ = strconv.Atoi(strings.Fields(rest)[11])
	}
	return n
}

// A program in a container is captured from outside: it knows its threads by other
// numbers than we do, and the goroutine that runs is found on its thread all the same.
func TestCaptureFromOutside(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a pid namespace needs root")
	}
	program := crasher.Build(t, crasher.Plain)
	cmd := exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", program, "spin")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var pid string
	await.True(t, "the program spins", func() bool {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		pid = strings.TrimSpace(string(children))
		exe, err := os.Readlink("/proc/" + pid + "/exe")
		return pid != "" && err == nil && exe == program && ticks(pid) >= 10
	})
	core := filepath.Join(t.TempDir(), "core")
	take := func() (goroutines []byte, err error) {
		if out, err := command(t, "capture", pid, "-o", core); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return exec.Command(tool(t), "goroutines", core).Output()
	}
	out, err := take()
	for range 20 {
		if err != nil || !bytes.Contains(out, []byte("goroutine 1 [runnable]")) {
			break
		}
		os.Remove(core)
		out, err = take() // the runtime had just preempted it
	}
	if err != nil || !regexp.MustCompile(`(?m)^goroutine 1 \[running\] \(thread \d+\):\n(?:\S.*\n\t.*\n)*?main\.spin`).Match(out) {
		t.Errorf("%v: goroutine 1 does not run main.spin in\n%.1000s", err, out)
	}
	checkValues(t, program, crasher.Plain, core)
}

// A core that a user requested is delivered even if the program ends in the
// meantime, and the user gets its path.
func TestAskedAtTheEnd(t *testing.T) {
	for _, by := range []string{"signal", "trigger"} {
		taken := filepath.Join(t.TempDir(), "taken")
		r := start(t, plainly, nil, crasher.Build(t, crasher.Plain),
			[]string{"--signal=USR1", "--exit-stop=off", "--to", "exec:sh -c 'cat >" + taken + ".part; mv " + taken + ".part " + taken + "; sleep 1'"}, "wait")
		pid := r.event(t, "started").PID
		waitOutput(t, r, "ready")
		answer := make(chan error, 1)
		if by == "signal" {
			r.cmd.Process.Signal(syscall.SIGUSR1)
			answer <- nil
		} else {
			go func() {
				out, err := exec.Command(tool(t), "trigger", "--dir", r.dir).CombinedOutput()
				if err != nil {
					err = fmt.Errorf("%w: %s", err, out)
				}
				answer <- err
			}()
		}
		await.True(t, "file "+taken, func() bool { _, err := os.Stat(taken); return err == nil })
		kill(t, pid)
		r.finish(t)
		if err := <-answer; err != nil || !r.has("captured") {
			t.Errorf("%s: %v, %+v", by, err, r.events)
		}
	}
}

// The command has a capability in its file, so that it may read programs of others. Go's
// runtime sets GOTRACEBACK in such a process at each start; the command must
// not start itself again each time.
func TestToolWithCapabilities(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("giving a file capabilities needs root")
	}
	dir := t.TempDir()
	check(t, os.Chmod(dir, 0o777))
	check(t, os.Chmod(filepath.Dir(dir), 0o777))
	capable := filepath.Join(dir, "meminspect")
	if out, err := exec.Command("cp", tool(t), capable).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// struct vfs_cap_data of linux/capability.h, version 2: permitted and effective
	// CAP_SYS_PTRACE.
	data := binary.LittleEndian.AppendUint32(nil, 0x02000001)
	data = binary.LittleEndian.AppendUint32(data, 1<<unix.CAP_SYS_PTRACE)
	data = append(data, make([]byte, 12)...)
	if err := unix.Setxattr(capable, "security.capability", data, 0); err != nil {
		t.Skip("giving a file capabilities: ", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cores := filepath.Join(dir, "cores")
	cmd := exec.CommandContext(ctx, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", capable, "run", "--dir", cores, "--", crasher.Build(t, crasher.Plain), "panic")
	cmd.Env = append(os.Environ(), "GOGC=50")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "goroutine 1 [running]") {
		t.Errorf("%v: %s", err, out)
	}
	if found, _ := filepath.Glob(cores + "/*.panic.core"); len(found) != 1 {
		t.Errorf("cores %v: %s", found, out)
	}
}

// laterVersion returns a release of Go after those of today whose name is as long as the
// given one, or "": go1.99.11 for go1.26.10.
func laterVersion(version string) string {
	patch, ok := strings.CutPrefix(version, "go1.")
	minor, patch, found := strings.Cut(patch, ".")
	if !ok || !found || len(minor) != 2 || strings.Trim(patch, "0123456789") != "" || patch == "" {
		return ""
	}
	return "go1.99." + strings.Repeat("1", len(patch))
}

// A program that a later release of Go has built, here one whose version was changed in
// the file, is refused by that version: its layouts are not guessed. Its crash leaves a
// record all the same.
func TestTomorrowsGo(t *testing.T) {
	today := crasher.Build(t, crasher.Plain)
	dir := t.TempDir()
	program := filepath.Join(dir, "tomorrow")
	version := runtime.Version()
	later := laterVersion(version)
	if later == "" {
		t.Fatalf("no later version is as long as %s", version)
	}
	data := must(os.ReadFile(today))
	if !bytes.Contains(data, []byte(version)) {
		t.Fatalf("the program does not name %s", version)
	}
	check(t, os.WriteFile(program, bytes.ReplaceAll(data, []byte(version), []byte(later)), 0o755))

	refusal := "built with " + later + ", which is newer than this tool knows"
	core := supervise(t, plainly, program, nil, "panic").one(t, "panic")
	if out, err := command(t, "print", core, "counter"); err == nil || !strings.Contains(string(out), refusal) {
		t.Errorf("print: %v: %s", err, out)
	}
	if out, err := command(t, "report", core); err != nil || !strings.Contains(strings.Join(strings.Fields(string(out)), " "), refusal) {
		t.Errorf("report: %v: %s", err, out)
	}
	r := start(t, plainly, nil, program, nil, "wait")
	waitOutput(t, r, "ready")
	pid := strconv.Itoa(r.event(t, "started").PID)
	captured := filepath.Join(dir, "captured.core")
	for _, args := range [][]string{{"capture", "-o", captured, pid}, {"doctor", pid}} {
		if out, err := command(t, args...); err == nil || !strings.Contains(string(out), refusal) {
			t.Errorf("%s: %v: %s", args[0], err, out)
		}
	}
	if out, err := command(t, "print", captured, "counter"); err == nil || strings.Contains(string(out), "4711") {
		t.Errorf("print: %v: %s", err, out)
	}
	kill(t, must(strconv.Atoi(pid)))
	r.finish(t)
}
