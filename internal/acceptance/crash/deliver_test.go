//go:build linux

package crash

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/crasher"
)

// A core on standard output is a core, whatever the program prints.
func TestToStandardOutput(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	r := supervise(t, plainly, program, []string{"--to", "-"}, "own", filepath.Join(t.TempDir(), "own"))
	if len(r.cores(t)) != 0 || r.state.ExitCode() != 2 || !strings.Contains(r.stderr.String(), "taken over\n") {
		t.Errorf("%v, cores %v, standard error %.200q", r.state, r.cores(t), r.stderr.String())
	}
	core := filepath.Join(t.TempDir(), "core")
	if err := os.WriteFile(core, r.stdout.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	checkValues(t, program, crasher.Plain, core)

	// A program's own collector has no standard output.
	cmd := exec.Command(program, "exit0")
	cmd.Env = append(os.Environ(), "CRASHER_MONITOR="+tool(t), "CRASHER_DIR="+t.TempDir(), "CRASHER_FLAGS=--to=-")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "standard output is the program's") {
		t.Errorf("%v: %s", err, out)
	}
}

// A bucket receives a core by a presigned URL; if it is unavailable for a
// while, it receives the core from the spool when the program runs next. The
// URL is in no environment.
func TestToBucket(t *testing.T) {
	var mu sync.Mutex
	objects := map[string][]byte{}
	fail := 1
	bucket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		data, err := io.ReadAll(r.Body)
		if fail > 0 {
			fail--
			http.Error(w, "slow down", http.StatusServiceUnavailable)
			return
		}
		if r.Method != http.MethodPut || err != nil || int64(len(data)) != r.ContentLength || r.URL.Query().Get("sig") != "s3cret" {
			http.Error(w, "refused", http.StatusForbidden)
			return
		}
		objects[filepath.Base(r.URL.Path)] = data
	}))
	defer bucket.Close()
	program := crasher.Build(t, crasher.Plain)
	dir := t.TempDir()
	put := func(url string, wantKept int, args ...string) *run {
		t.Helper()
		r := start(t, plainly, []string{"MEMINSPECT_TO=" + url}, program, []string{"--dir", dir}, args...)
		r.finish(t)
		if kept, _ := filepath.Glob(dir + "/spool/*.core"); wantKept >= 0 && len(kept) != wantKept {
			t.Errorf("%v: %d cores in the spool, want %d: %+v", args, len(kept), wantKept, r.events)
		}
		return &r.run
	}
	url := bucket.URL + "/bucket/{name}?sig=s3cret"
	// Refused for good, it waits; the report has no secret.
	r := put(strings.Replace(url, "s3cret", "expired", 1), 1, "panic")
	if !r.has("undelivered") || r.state.ExitCode() != 2 {
		t.Errorf("%v, %+v", r.state, r.events)
	}
	for _, e := range r.events {
		if strings.Contains(e.Text, "expired") {
			t.Errorf("the URL is in a report: %+v", e)
		}
	}
	// The next, tried a second time because of the 503, takes it along.
	mu.Lock()
	fail = 1
	mu.Unlock()
	r = put(url, -1, "env", "MEMINSPECT_TO")
	for range 20 { // later starts send what could not be sent in time, and leave cores too
		if kept, _ := filepath.Glob(dir + "/spool/*.panic.core"); len(kept) == 0 {
			break
		}
		put(url, -1, "linger")
	}
	if out := r.stdout.String(); out != "MEMINSPECT_TO=\n" {
		t.Errorf("the program sees %q", out)
	}
	mu.Lock()
	defer mu.Unlock()
	maps.DeleteFunc(objects, func(name string, _ []byte) bool { return !strings.Contains(name, ".panic.") })
	if len(objects) != 2 {
		t.Fatalf("objects: %v: %+v", slices.Collect(maps.Keys(objects)), r.events)
	}
	for name, data := range objects {
		core := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(core, data, 0o600); err != nil {
			t.Fatal(err)
		}
		checkValues(t, program, crasher.Plain, core)
	}
}

// Neither a dead nor a silent endpoint delays the restart, and the core waits for the
// next start.
func TestDeadEndpoint(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	dead.Close()
	end := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	defer silent.Close()
	defer close(end)
	for name, host := range map[string]string{"dead": dead.Addr().String(), "silent": silent.Listener.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			r := supervise(t, plainly, crasher.Build(t, crasher.Plain), []string{"--to", "http://" + host + "/{name}"}, "panic")
			at := map[string]time.Time{}
			for _, e := range r.events {
				at[e.What] = e.Time
			}
			// One attempt may take ten seconds, the wait is one.
			if took := at["ended"].Sub(at["started"]); at["undelivered"].IsZero() || took > 8*time.Second {
				t.Errorf("it took %v: %+v", took, r.events)
			}
			if kept, _ := filepath.Glob(r.dir + "/spool/*.core"); len(kept) != 1 {
				t.Errorf("in the spool: %v", kept)
			}
		})
	}
}

// A failing command is reported, with its output.
func TestToCommand(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	r := supervise(t, plainly, program, []string{"--to", "exec:sh -c 'cat >/dev/null; echo bucket is full >&2; exit 4'"}, "panic")
	failed := false
	for _, e := range r.events {
		failed = failed || e.What == "undelivered" && strings.Contains(e.Text, "exit status 4: bucket is full")
	}
	if !failed || r.state.ExitCode() != 2 {
		t.Errorf("%v, %+v", r.state, r.events)
	}
}

// SIGTERM ends an upload at once: the core stays in the spool, and the supervisor
// ends as the program did.
func TestInterruptedUpload(t *testing.T) {
	arrived, end := make(chan struct{}, 10), make(chan struct{})
	bucket := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-end
	}))
	defer bucket.Close()
	defer close(end)
	dir := t.TempDir()
	cmd := exec.Command(tool(t), "run", "--dir", dir, "--to", bucket.URL+"/{name}?sig=s3cret", "--", crasher.Build(t, crasher.Plain), "panic")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-arrived
	ended := make(chan struct{})
	go func() {
		for {
			cmd.Process.Signal(syscall.SIGTERM) // the first may find the program alive
			select {
			case <-ended:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	began := time.Now()
	cmd.Wait()
	close(ended)
	if code := cmd.ProcessState.ExitCode(); code != 2 || time.Since(began) > 20*time.Second {
		t.Errorf("exit status %d after %v", code, time.Since(began))
	}
	if cores, _ := filepath.Glob(filepath.Join(dir, "spool", "*.panic.core")); len(cores) != 1 || !strings.Contains(stderr.String(), "; it waits in "+cores[0]) {
		t.Errorf("spooled: %v, %q", cores, stderr.String())
	}
	if strings.Contains(stderr.String(), "s3cret") {
		t.Errorf("the signature is in %q", stderr.String())
	}
}

// A program that cannot be started has the exit status of a shell, and whatever
// starts alone starts below run.
func TestStatusOfStart(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"data": "no program", "script": "echo from the shell; exit 7\n"} {
		mode := os.FileMode(0o644)
		if name == "script" {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		program string
		want    int
	}{{"no-such-program", 127}, {"./none", 127}, {"./data", 126}, {"./script", 7}} {
		for _, shell := range []string{"", tool(t) + " run --quiet --dir " + dir + "/cores -- "} {
			cmd := exec.Command("bash", "-c", shell+c.program)
			cmd.Dir = dir
			out, _ := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != c.want {
				t.Errorf("%s%s: exit status %d, want %d: %s", shell, c.program, got, c.want, out)
			}
		}
	}
}

// Under any limit under which a program starts alone, it starts below run; it is
// captured, or a line reports that it is not.
func TestLowLimits(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	limits := []string{"-v 600000", "-v 1200000", "-v 2000000"}
	// Below that the runtime of any Go program has too few for itself: it holds two files of
	// a cgroup of version 1 open, and its first timer needs two more.
	for n := 7; n <= 128; n += 1 + n/8 {
		limits = append(limits, fmt.Sprint("-n ", n))
	}
	for n := 8; n <= 128; n += 1 + n/4 { // with five or fewer, Go's runtime may end run before its first line
		limits = append(limits, fmt.Sprint("-u ", n))
	}
	public, meminspect := publicCopy(t, program), publicCopy(t, tool(t))
	for _, limit := range limits {
		t.Run(limit, func(t *testing.T) {
			program, tool, dir := program, tool(t), t.TempDir()
			command := func(line string) *exec.Cmd { return exec.Command("bash", "-c", "ulimit "+limit+"; exec "+line) }
			if strings.HasPrefix(limit, "-u") && os.Getuid() == 0 {
				// The superuser has no limit of threads, and this user has none yet: no other
				// test has processes of it.
				const user = "61240"
				program, tool, dir = public, meminspect, publicDir(t)
				plain := command
				command = func(line string) *exec.Cmd {
					cmd := plain(line)
					cmd.Args = append([]string{"setpriv", "--reuid=" + user, "--regid=" + user, "--clear-groups"}, cmd.Args...)
					cmd.Path, _ = exec.LookPath("setpriv")
					return cmd
				}
			}
			alone := command(program + " panic")
			if printed, _ := alone.CombinedOutput(); !strings.Contains(string(printed), "it went wrong") {
				return // it does not start alone
			}
			cmd := command(fmt.Sprintf("%s run --quiet --dir %s -- %s panic", tool, dir, program))
			out, _ := cmd.CombinedOutput()
			if want, got := alone.ProcessState.ExitCode(), cmd.ProcessState.ExitCode(); got != want || !strings.Contains(string(out), "it went wrong") {
				t.Fatalf("exit status %d, alone %d: %.1500s", got, want, out)
			}
			cores, _ := filepath.Glob(filepath.Join(dir, "*.core"))
			if reported := strings.Contains(string(out), "without a supervisor"); reported == (len(cores) == 1) {
				t.Errorf("cores %v: %.1500s", cores, out)
			}
		})
	}
}

// publicCopy returns a copy of a program that each user can run.
func publicCopy(t *testing.T, program string) string {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(publicDir(t), filepath.Base(program))
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// publicDir returns a new directory that each user can read and write.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for path, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o755, dir: 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
