//go:build linux

package crash

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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

// A bucket takes a core by a presigned URL; one that is away for a while gets it
// from the spool when the program runs next. The URL is in nobody's environment.
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
		if kept, _ := filepath.Glob(dir + "/spool/*.core"); len(kept) != wantKept {
			t.Errorf("%v: %d cores in the spool, want %d: %+v", args, len(kept), wantKept, r.events)
		}
		return &r.run
	}
	url := bucket.URL + "/bucket/{name}?sig=s3cret"
	// Refused for good, it waits; the report tells no secret.
	r := put(strings.Replace(url, "s3cret", "expired", 1), 1, "panic")
	if !r.has("failed") || r.state.ExitCode() != 2 {
		t.Errorf("%v, %+v", r.state, r.events)
	}
	for _, e := range r.events {
		if strings.Contains(e.Text, "expired") {
			t.Errorf("the URL stands in a report: %+v", e)
		}
	}
	// The next, tried a second time because of the 503, takes it along.
	mu.Lock()
	fail = 1
	mu.Unlock()
	r = put(url, 0, "env", "MEMINSPECT_TO")
	if out := r.stdout.String(); out != "MEMINSPECT_TO=\n" {
		t.Errorf("the program sees %q", out)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(objects) != 2 {
		t.Fatalf("%d objects: %+v", len(objects), r.events)
	}
	for name, data := range objects {
		core := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(core, data, 0o600); err != nil {
			t.Fatal(err)
		}
		checkValues(t, program, crasher.Plain, core)
	}
}

// A command that fails is told of, with what it said.
func TestToCommand(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	r := supervise(t, plainly, program, []string{"--to", "exec:cat >/dev/null; echo bucket is full >&2; exit 4"}, "panic")
	failed := false
	for _, e := range r.events {
		failed = failed || e.What == "failed" && strings.Contains(e.Text, "exit status 4: bucket is full")
	}
	if !failed || r.state.ExitCode() != 2 {
		t.Errorf("%v, %+v", r.state, r.events)
	}
}
