//go:build linux

package crash

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
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

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/supervise/trigger"
)

var plainly = surroundings[0]

// one checks that there is exactly one core, of that reason, and returns it.
func (r *run) one(t *testing.T, reason string) string {
	t.Helper()
	cores := r.cores(t)
	if len(cores) != 1 || !strings.HasSuffix(cores[0], "."+reason+".core") {
		t.Fatalf("cores %v, want one for %s; events %+v", cores, reason, r.events)
	}
	return cores[0]
}

func (r *run) has(what string) bool {
	for _, e := range r.events {
		if e.What == what {
			return true
		}
	}
	return false
}

// A program asks for a snapshot and has its state in it as it was then.
func TestSnapshotFromInside(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	r := supervise(t, plainly, program, nil, "snapshot")
	core := r.one(t, "order-lost")
	if r.stdout.String() != "taken true\n" || r.state.ExitCode() != 0 {
		t.Errorf("%q, %v", r.stdout.String(), r.state)
	}
	checkValues(t, program, crasher.Plain, core)
	if bt := debuggers.DelveSays(t, program, core, "goroutine 1 bt"); !strings.Contains(bt, "main.snapshot") {
		t.Errorf("it is not where it asked:\n%s", bt)
	}
	// Without a supervisor there is no request and no wait.
	began := time.Now()
	if out, err := exec.Command(program, "snapshot").Output(); string(out) != "taken false\n" || err != nil || time.Since(began) > time.Second {
		t.Errorf("alone: %q, %v after %v", out, err, time.Since(began))
	}
}

// An end that nothing holds leaves the last snapshot, which records how old it is and
// what the end was.
func TestLastSnapshot(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for signal, end := range map[syscall.Signal]string{syscall.SIGTERM: "exit-4", syscall.SIGKILL: "signal-sigkill"} {
		r, kept := startKept(t, plainly, program, []string{"--exit-stop=off"}, "obey")
		if kept.Bytes == 0 || kept.Took == 0 {
			t.Errorf("what the first cost is not printed: %+v", kept)
		}
		syscall.Kill(kept.PID, signal)
		r.finish(t)
		core := r.one(t, end)
		checkValues(t, program, crasher.Plain, core)
		if out, err := command(t, "info", core); err != nil || !regexp.MustCompile(`(?m)^snapshot-age: [0-9.ms]+ before `+end+`$`).Match(out) {
			t.Errorf("%v: %s", err, out)
		}
		if r.has("note") {
			t.Errorf("something is printed of a program that only died: %+v", r.events)
		}
	}
}

// A program that is asked to end, and does, has not crashed: neither the exit stop
// nor a snapshot makes a core of it, unless the user wants one.
func TestAskedToEnd(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for _, way := range [][]string{{}, {"--exit-stop=off", "--snapshot=50ms"}} {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
			r := start(t, plainly, nil, program, way, "wait")
			waitOutput(t, r, "ready")
			syscall.Kill(r.event(t, "started").PID, sig)
			r.finish(t)
			if got := r.state.Sys().(syscall.WaitStatus); got.Signal() != sig {
				t.Errorf("%v, %v: ended with %v", way, sig, r.state)
			}
			if len(r.cores(t)) != 0 || r.has("captured") || r.has("failed") || !r.has("ended") {
				t.Errorf("%v, %v: cores %v, %+v", way, sig, r.cores(t), r.events)
			}
		}
	}
	supervise(t, plainly, program, []string{"--on=sigterm"}, "sigterm").one(t, "signal-sigterm")
	if r := supervise(t, plainly, program, []string{"--except=exit-3,sigkill"}, "exit3"); len(r.cores(t)) != 0 || r.state.ExitCode() != 3 {
		t.Errorf("%v, cores %v", r.state, r.cores(t))
	}
	out, err := command(t, "run", "--on=sigtrem", "--", program, "exit0")
	if err == nil || !strings.Contains(string(out), `"sigtrem" is not the end of a program`) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestHang(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for action, want := range map[string]syscall.WaitStatus{"quit": 2 << 8, "kill": syscall.WaitStatus(syscall.SIGKILL)} {
		t.Run(action, func(t *testing.T) {
			r := supervise(t, plainly, program, []string{"--on-hang", action}, "hang")
			core := r.one(t, "hang")
			if r.state.Sys() != want || !r.has("hanging") {
				t.Errorf("%v; events %+v", r.state, r.events)
			}
			if bt := debuggers.DelveSays(t, program, core, "goroutine 1 bt"); !strings.Contains(bt, "main.hang") {
				t.Errorf("main.hang is not in the trace:\n%s", bt)
			}
		})
	}
	t.Run("recovered", func(t *testing.T) {
		r := supervise(t, plainly, program, nil, "stutter")
		r.one(t, "hang")
		if r.state.ExitCode() != 0 || !r.has("hanging") || !r.has("recovered") {
			t.Errorf("%v; events %+v", r.state, r.events)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		r := start(t, plainly, nil, program, nil, "beat")
		pid := r.beating(t)
		// A debugger or an administrator stops it: that is not a hang.
		syscall.Kill(pid, syscall.SIGSTOP)
		time.Sleep(1500 * time.Millisecond) // three times the limit of the heartbeat
		if r.read(t); r.has("hanging") {
			t.Errorf("a stopped program is printed to hang: %+v", r.events)
		}
		// The supervisor stopped with it, as a shell expects.
		waitState(t, r.cmd.Process.Pid, "T")
		r.cmd.Process.Signal(syscall.SIGCONT)
		r.cmd.Process.Signal(syscall.SIGTERM)
		r.finish(t)
		if r.state.ExitCode() != 0 {
			t.Errorf("%v: %+v", r.state, r.events)
		}
	})
}

// state returns the letter that ps shows.
func state(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	s, _, _ := strings.Cut(rest, " ")
	return s
}

// waitEnd waits until a process ends, which need not be a child. Its error has
// the state of each thread and the system call that it is in.
func waitEnd(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("waiting for process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	for deadline := time.Now().Add(time.Minute); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(deadline).Milliseconds()))
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("waiting for process %d: %w", pid, err)
		case time.Now().After(deadline):
			return fmt.Errorf("process %d does not end:%s", pid, threads(pid))
		}
	}
}

// threads returns a line for each thread of a process.
func threads(pid int) string {
	var b strings.Builder
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		tid, _ := strconv.Atoi(filepath.Base(task))
		call, _ := os.ReadFile(task + "/syscall")
		fmt.Fprintf(&b, "\nthread %d: state %s, call %s", tid, state(tid), bytes.TrimSpace(call))
	}
	return b.String()
}

func TestAsked(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	r := start(t, plainly, nil, program, []string{"--signal", "USR1"}, "signals")
	pid := r.event(t, "started").PID
	waitOutput(t, r, "ready")
	out, err := exec.Command(tool(t), "trigger", "--dir", r.dir, "--reason", "by hand").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	core := strings.TrimSpace(string(out))
	if core != r.one(t, "by-hand") {
		t.Errorf("trigger reports %q", core)
	}
	checkValues(t, program, crasher.Plain, core)
	os.Remove(core)
	if out, err := exec.Command(tool(t), "trigger", "--dir", r.dir, strconv.Itoa(pid)).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	os.Remove(r.one(t, "asked"))
	r.cmd.Process.Signal(syscall.SIGUSR1)
	await.True(t, "a core", func() bool { return len(r.cores(t)) > 0 })
	r.one(t, "asked")
	r.cmd.Process.Signal(syscall.SIGUSR2)
	waitOutput(t, r, "user defined signal 2")
	r.cmd.Process.Signal(syscall.SIGHUP)
	waitOutput(t, r, "hangup")
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.finish(t)
	if r.state.ExitCode() != 5 || strings.Contains(r.stdout.String(), "user defined signal 1") {
		t.Errorf("%v, it printed %s", r.state, r.stdout.String())
	}
	if left, _ := filepath.Glob(r.dir + "/.trigger*"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// beating returns the process ID of the program "beat" when the supervisor reads its
// heartbeat.
func (r *started) beating(t *testing.T) int {
	t.Helper()
	pid := r.event(t, "started").PID
	waitOutput(t, r, "ready")
	await.True(t, "the supervisor listens", func() bool { return len(trigger.Programs(r.dir)) > 0 })
	time.Sleep(150 * time.Millisecond) // some looks of the supervisor, which leave no trace
	return pid
}

func waitOutput(t *testing.T, r *started, text string) {
	t.Helper()
	if !await.Poll(func() bool { return strings.Contains(r.output(t), text) }) {
		t.Fatalf("the program did not write %q: %s", text, r.output(t))
	}
}

// A program that crashes at every start does not fill the disk.
func TestCrashLoop(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	dir := t.TempDir()
	for i := range 5 {
		r := supervise(t, plainly, program, []string{"--dir", dir, "--limit", "2/10m"}, "panic")
		if want := map[bool]string{true: "captured", false: "refused"}[i < 2]; !r.has(want) || r.state.ExitCode() != 2 {
			t.Errorf("start %d: %+v", i, r.events)
		}
	}
	if cores, _ := filepath.Glob(dir + "/*.core"); len(cores) != 2 {
		t.Errorf("%v", cores)
	}
}

// Of a program with exclusions, texts are kept without arguments, or whole.
func TestKeepCrashText(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	for _, keep := range []bool{false, true} {
		r := supervise(t, plainly, program, []string{fmt.Sprint("--keep-crash-text=", keep)}, "panic-typed")
		data, err := os.ReadFile(r.one(t, "panic"))
		if err != nil {
			t.Fatal(err)
		}
		const whole = "\nmain.main()\n"
		if bytes.Contains(data, []byte(whole)) != keep || bytes.Contains(data, []byte("\nmain.main(...)\n")) == keep {
			t.Errorf("keep=%v: the text in the core is the other one", keep)
		}
		for _, want := range []string{"panic: typed error with 4111111111111111\n", "goroutine 1 [running]", "main.go:"} {
			if !bytes.Contains(data, []byte(want)) && !(keep && strings.HasPrefix(want, "panic")) {
				t.Errorf("keep=%v: the core lacks %q", keep, want)
			}
		}
		if !strings.Contains(r.stderr.String(), whole) {
			t.Errorf("keep=%v: standard error was changed", keep)
		}
	}
}

// From Go 1.27 on crash texts contain goroutine labels: they are stored on
// request only, and are always on standard error.
func TestLabelsInText(t *testing.T) {
	program := crasher.Build(t, "go1.27.3")
	for _, labels := range []bool{false, true} {
		// The program's own go line is too old for labels unless they are asked for.
		r := start(t, plainly, []string{"GODEBUG=tracebacklabels=1"}, program, []string{fmt.Sprint("--labels=", labels)}, "panic-labels")
		r.finish(t)
		data, err := os.ReadFile(r.one(t, "panic"))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("alice@example.com")) != labels {
			t.Errorf("--labels=%v: the label is in the core: %v", labels, !labels)
		}
		if out, err := command(t, "info", r.one(t, "panic")); err != nil || !bytes.Contains(out, []byte("goroutine 1 [running]")) {
			t.Errorf("%v: %s", err, out)
		}
		if !strings.Contains(r.stderr.String(), "alice@example.com") {
			t.Errorf("standard error has no label: %s", r.stderr.String())
		}
	}
}

// The record has the type of a panic's value, whatever of it is printed.
func TestPanicType(t *testing.T) {
	want := map[string]string{
		"panic": "string", "panic-error": "*fmt.wrapError", "panic-typed": "main.typedError",
		"panic-code": "main.code", "panic-struct": "*main.order", "repanic": "string", "nil": "runtime.errorString",
	}
	check := func(variant crasher.Variant, ways ...string) {
		program := crasher.Build(t, variant)
		for _, way := range ways {
			r := supervise(t, plainly, program, []string{"--limit=0"}, way)
			cores := r.cores(t)
			if len(cores) != 1 {
				t.Fatalf("%s %s: %+v", variant, way, r.events)
			}
			if out, err := command(t, "info", cores[0]); err != nil || !regexp.MustCompile(`(?m)^panic-type: +`+regexp.QuoteMeta(want[way])+`$`).Match(out) {
				t.Errorf("%s %s: want %s; %v: %s", variant, way, want[way], err, out)
			}
		}
	}
	check(crasher.Plain, slices.Sorted(maps.Keys(want))...)
	check(crasher.Stripped, "panic-typed", "panic-error")
	check(crasher.PIE, "panic-typed")
	check("go1.27.3", "panic-typed", "panic-error")
	if matrix.Whole() {
		for _, v := range []crasher.Variant{"go1.25.5", "go1.24.9", crasher.Race, crasher.Cgo} {
			check(v, "panic", "panic-typed", "panic-error")
		}
	}
}

// If a debugger came first it stays attached, and the loss is reported.
func TestTraced(t *testing.T) {
	strace := debuggers.Need(t, "strace")
	program := crasher.Build(t, crasher.Plain)
	log := filepath.Join(t.TempDir(), "strace")
	r := supervise(t, surrounding{wrap: []string{strace, "-f", "-o", log, "-e", "trace=none"}}, program, nil, "panic")
	cores := r.cores(t)
	if r.state.ExitCode() != 2 || len(cores) != 1 || !strings.Contains(r.events[0].Text, "traced by strace") {
		t.Errorf("%v, cores %v, %+v; %s", r.state, cores, r.events, r.stderr.String())
	}
}

// A supervisor is small while nothing happens, and after a capture too.
func TestSize(t *testing.T) {
	r := start(t, plainly, nil, crasher.Build(t, crasher.Plain), []string{"--limit=0"}, "wait")
	r.event(t, "started")
	waitOutput(t, r, "ready")
	// It releases memory soon after it has used it.
	var before, after int64
	await.Poll(func() bool { before = resident(t, r.cmd.Process.Pid); return before <= 10<<20 })
	for range 5 {
		if out, err := exec.Command(tool(t), "trigger", "--dir", r.dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	files := 0
	await.Poll(func() bool {
		after, files = resident(t, r.cmd.Process.Pid), descriptors(t, r.cmd.Process.Pid)
		return after <= 20<<20 && files <= 24
	})
	t.Logf("%d KB resident, %d KB after five captures, %d descriptors", before>>10, after>>10, files)
	if before > 10<<20 || after > 20<<20 || files > 24 {
		t.Errorf("%d bytes resident, %d after captures, %d descriptors", before, after, files)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.finish(t)
}

// A supervisor of a program that does nothing sleeps: it is woken for what
// happens, and looks only now and then.
func TestRest(t *testing.T) {
	r := start(t, plainly, nil, crasher.Build(t, crasher.Plain), nil, "wait")
	r.event(t, "started")
	waitOutput(t, r, "ready")
	// The start takes a while, longer on a busy machine.
	var switches int64
	await.Poll(func() bool {
		const second = time.Second
		before := waits(t, r.cmd.Process.Pid)
		time.Sleep(2 * second) // the time that is measured
		switches = (waits(t, r.cmd.Process.Pid) - before) / 2
		return switches <= 60
	})
	if switches > 60 {
		t.Errorf("its threads went to sleep %d times a second", switches)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.finish(t)
}

// waits returns how often the threads of a process went to sleep.
func waits(tb testing.TB, pid int) (sum int64) {
	tb.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		tb.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // it may have ended
		for line := range strings.Lines(string(text)) {
			if n, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				sum += must(strconv.ParseInt(strings.TrimSpace(n), 10, 64))
			}
		}
	}
	return sum
}

func resident(tb testing.TB, pid int) int64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		tb.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func descriptors(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A program with a collector of its own dies of its deadlock at once: nothing of
// the start lingers that would keep Go from seeing it.
func TestMonitorDeadlock(t *testing.T) {
	began := time.Now()
	r := supervise(t, surrounding{monitor: true}, crasher.Build(t, crasher.Plain), nil, "deadlock")
	r.one(t, "deadlock")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

// At every level of GOTRACEBACK the reason is known: where the runtime reports
// nothing, the exit stop finds its word in the runtime's backlog.
func TestTraceback(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	levels := matrix.Choose([]string{"none", "crash"}, []string{"none", "single", "all", "system", "crash"})
	for _, level := range levels {
		for _, c := range crashes {
			if c.exit || c.only != nil && !contains(c.only, crasher.Plain) {
				continue
			}
			t.Run(level+"/"+c.way, func(t *testing.T) {
				r := start(t, plainly, []string{"GOTRACEBACK=" + level}, program, nil, c.way)
				r.finish(t)
				r.one(t, c.reason)
				alone := exec.Command(program, c.way)
				alone.Env = append(os.Environ(), "GOTRACEBACK="+level)
				_ = alone.Run() // it dies
				if got, want := r.state.Sys().(syscall.WaitStatus)&^0x80, alone.ProcessState.Sys().(syscall.WaitStatus)&^0x80; got != want {
					t.Errorf("ended with %#x, without us with %#x", got, want)
				}
			})
		}
	}
}
