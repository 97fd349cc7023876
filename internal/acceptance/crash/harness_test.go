//go:build linux

package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/duration"
)

var (
	building sync.Mutex
	// buildDir makes the folder of all that compile builds, which every user may enter.
	buildDir = sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "meminspect-tool")
		if err == nil {
			err = os.Chmod(dir, 0o755)
		}
		return dir, err
	})
)

// tool builds the meminspect command, where every user may run it.
func tool(tb testing.TB) string {
	tb.Helper()
	return compile(tb, "../../../cmd/meminspect")
}

// helper builds a program of testdata.
func helper(tb testing.TB, name string) string {
	tb.Helper()
	return compile(tb, "../testdata/"+name)
}

// compile builds a command, once, and returns its path.
func compile(tb testing.TB, source string) string {
	tb.Helper()
	building.Lock()
	defer building.Unlock()
	dir, err := buildDir()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, filepath.Base(source))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	build := exec.Command("go", "build", "-o", path, source)
	if filepath.Base(source) == "meminspect" {
		build.Env = append(build.Environ(), "CGO_ENABLED=0") // static, as it is released
	}
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("building %s: %v: %s", source, err, out)
	}
	return path
}

// check fails the test with an error.
func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Error(err)
	}
}

// A run is what came of one supervised program.
type run struct {
	dir    string
	stdout bytes.Buffer
	stderr output
	state  *os.ProcessState
	events []event
}

type event struct {
	Time                     time.Time
	What, Reason, Path, Text string
	PID                      int
	Bytes                    int64 `json:",string"`
	Partial                  bool
	Held, Took               time.Duration
}

// UnmarshalJSON reads the durations, which events have as texts.
func (e *event) UnmarshalJSON(text []byte) error {
	type plain event
	v := struct {
		*plain
		Held, Took duration.Seconds
	}{plain: (*plain)(e)}
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	e.Held, e.Took = time.Duration(v.Held), time.Duration(v.Took)
	return nil
}

// supervise runs the program under meminspect to its end.
func supervise(t *testing.T, s surrounding, program string, flags []string, args ...string) *run {
	t.Helper()
	r := start(t, s, nil, program, flags, args...)
	r.finish(t)
	return &r.run
}

// A started is a run that goes on.
type started struct {
	run
	cmd    *exec.Cmd
	report string
	out    string // file that gets standard output
	end    chan error

	monitor bool
}

func start(t *testing.T, s surrounding, env []string, program string, flags []string, args ...string) *started {
	t.Helper()
	r := &started{end: make(chan error, 1)}
	base := t.TempDir()
	check(t, os.Chmod(base, 0o777))
	check(t, os.Chmod(filepath.Dir(base), 0o777))
	r.dir, r.report = filepath.Join(base, "cores"), filepath.Join(base, "report")
	line := append([]string{}, s.wrap...)
	if s.filter {
		line = append(line, helper(t, "seccomp"))
	}
	if s.record {
		unreadable := filepath.Join(base, filepath.Base(program))
		if out, err := exec.Command("install", "-m", "0711", program, unreadable).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		program = unreadable
	}
	line = append(line, tool(t), "run", "--json", "--dir", r.dir, "--report", r.report)
	line = append(append(append(line, s.flags...), flags...), "--", program)
	line = append(line, args...)
	if s.monitor {
		line = append(append(append([]string{}, s.wrap...), program), args...)
		env = append(env, "CRASHER_MONITOR="+tool(t), "CRASHER_DIR="+r.dir,
			"CRASHER_FLAGS="+strings.Join(append(append([]string{"--json", "--report", r.report}, s.flags...), flags...), " "))
	}
	r.monitor = s.monitor
	r.cmd = exec.Command(line[0], line[1:]...)
	r.cmd.Env = append(os.Environ(), env...)
	r.out = filepath.Join(base, "stdout")
	out, err := os.Create(r.out)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r.cmd.Stdout, r.cmd.Stderr = out, &r.stderr
	// Programs that are fit to be left must not hold the test.
	r.cmd.WaitDelay = 5 * time.Second
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.leave(t, program) })
	go func() { r.end <- r.cmd.Wait() }()
	return r
}

// An output collects what a command writes, and can be read while it writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(data)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// startKept starts a program that prints "ready", under snapshots, and returns
// when there is a snapshot of it after that.
func startKept(t *testing.T, s surrounding, program string, flags []string, args ...string) (*started, event) {
	t.Helper()
	for interval := 50 * time.Millisecond; interval < 10*time.Second; interval *= 2 {
		r := start(t, s, nil, program, append(slices.Clone(flags), "--snapshot="+interval.String()), args...)
		kept := r.event(t, "kept")
		waitOutput(t, r, "ready")
		printed, err := os.Stat(r.out)
		if err != nil {
			t.Fatal(err)
		}
		if kept.Time.Add(-kept.Took).After(printed.ModTime()) {
			return r, kept
		}
		// The first is of a program that was not ready, and no other is reported.
		r.leave(t, program)
		<-r.end
		dir := r.dir
		if i := slices.Index(flags, "--dir"); i >= 0 {
			dir = flags[i+1]
		}
		left, _ := filepath.Glob(filepath.Join(dir, ".snapshots-*"))
		for _, name := range left {
			os.RemoveAll(name)
		}
	}
	t.Fatal("each program was late for its first snapshot")
	return nil, event{}
}

// leave ends what a test that failed has left running: the program survives its
// supervisor.
func (r *started) leave(t *testing.T, program string) {
	r.cmd.Process.Kill()
	r.read(t)
	for _, e := range r.events {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", e.PID)); err == nil && exe == program {
			syscall.Kill(e.PID, syscall.SIGKILL)
		}
	}
}

func (r *started) finish(t *testing.T) {
	t.Helper()
	select {
	case <-r.end:
	case <-time.After(60 * time.Second):
		t.Fatalf("it did not end; standard error %.2000s, report %s", r.stderr.String(), r.read(t))
	}
	r.state = r.cmd.ProcessState
	if r.monitor {
		r.event(t, "ended") // the collector's end comes after the program's
	}
	r.read(t)
	r.stdout.WriteString(r.output(t))
}

// output returns what the program wrote to standard output so far.
func (r *started) output(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(r.out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// read reads the events so far.
func (r *started) read(t *testing.T) string {
	t.Helper()
	data, _ := os.ReadFile(r.report)
	r.events = nil
	for line := range bytes.Lines(data) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			break // half a line
		}
		r.events = append(r.events, e)
	}
	return string(data)
}

// event waits for an event of that kind.
func (r *started) event(t *testing.T, what string) event {
	t.Helper()
	i := -1
	if !await.Poll(func() bool {
		r.read(t)
		i = slices.IndexFunc(r.events, func(e event) bool { return e.What == what })
		return i >= 0
	}) {
		t.Fatalf("no event %q: %s; standard error %.2000s", what, r.read(t), r.stderr.String())
	}
	return r.events[i]
}

// cores lists the cores in the directory.
func (r *run) cores(t *testing.T) []string {
	t.Helper()
	cores, err := filepath.Glob(filepath.Join(r.dir, "*.core"))
	if err != nil {
		t.Fatal(err)
	}
	return cores
}

// command runs the meminspect command.
func command(tb testing.TB, args ...string) ([]byte, error) {
	return exec.Command(tool(tb), args...).CombinedOutput()
}

func info(path, core string) ([]byte, error) {
	return exec.Command(path, "info", core).CombinedOutput()
}

func soakCommand(path, dir, program string, args []string) *exec.Cmd {
	return exec.Command(path, append([]string{"run", "--dir", dir, "--on-hang=kill", "--", program}, args...)...)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
