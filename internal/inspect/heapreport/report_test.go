package heapreport

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meminspect/meminspect/internal/matrix"
)

// start builds the program that package heap is tested with, runs it with 1000
// sessions, and returns its number when its heap is full.
func start(t *testing.T, env string, args ...string) int {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", append(append([]string{"build", "-o", bin}, args...), ".")...)
	build.Dir = "../../gocore/heap/testdata/program"
	build.Env = append(os.Environ(), "GOWORK=off", env)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	run := exec.Command(bin, "1000")
	run.Stderr = os.Stderr
	stdin, err := run.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		run.Process.Kill()
		run.Wait()
	})
	if _, err := io.WriteString(stdin, "?"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return run.Process.Pid
}

func report(t *testing.T, pid int, opts Options) *Report {
	t.Helper()
	r, err := OfProcess(context.Background(), pid, opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Problems) > 0 || r.Partial {
		t.Errorf("partial %v, problems %q", r.Partial, r.Problems)
	}
	return r
}

// The objects of the program are on the paths that its source has.
func TestPaths(t *testing.T) {
	builds := []struct{ name, env, args string }{
		{"plain", "GOTOOLCHAIN=local", ""},
		{"old maps and masks", "GOTOOLCHAIN=go1.21.13", ""},
		{"pie", "GOTOOLCHAIN=go1.24.9", "-buildmode=pie"},
		{"cgo", "GOTOOLCHAIN=local", "-ldflags=-linkmode=external"},
		{"split groups", "GOEXPERIMENT=mapsplitgroup GOTOOLCHAIN=go1.27.3", ""},
	}
	for i, b := range builds {
		t.Run(b.name, func(t *testing.T) {
			if i > 0 && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			env, more, _ := strings.Cut(b.env, " ")
			if more != "" {
				t.Setenv("GOTOOLCHAIN", strings.TrimPrefix(more, "GOTOOLCHAIN="))
			}
			r := report(t, start(t, env, strings.Fields(b.args)...), Options{Paths: true})
			got := map[string]Path{}
			for _, p := range r.Paths {
				got[p.Path] = p
			}
			for _, want := range []struct {
				path, typ string
				objects   uint64 // at least
			}{
				{"main.sessions", "map[int]*main.session", 3},
				{"main.sessions[*]", "main.session", 999},
				{"main.sessions[*].tags", "map[string]string", 1000},
				{"main.sessions[*].data", "[]uint8", 999},
				{"main.sessions[*].any.(*main.node)", "main.node", 999},
				{"main.chain", "main.session", 1000}, // a list
				{"main.boxes[*].(main.session)", "main.session", 1000},
				{"main.boxes[*].([2]string)", "[2]string", 1000},
				{"main.tables[*]", "main.table", 3},
				{"main.tables[*].rows[*].p", "int", 500},
				{"main.rows[*].cells[*]", "int", 350},
				{"main.lists[*]", "[]*int", 3},
				{"main.queue", "chan *main.session", 1},
				{"main.queue[*]", "main.session", 3},
				{"main.array[*].list[*]", "main.session", 3},
				{"main.numbers[*]", "int", 100},
				{"main.literal.p", "*main.session", 1},
				{"main.cellar.racks[*].bottle", "main.session", 1},
				{"main.cellar.racks[*].any.(*main.node)", "main.node", 1},
			} {
				p, ok := got[want.path]
				if !ok || p.Type != want.typ || p.Objects < want.objects {
					t.Errorf("%s: %d objects of type %q, want at least %d of type %q", want.path, p.Objects, p.Type, want.objects, want.typ)
				}
			}
			sum := uint64(0)
			for _, p := range r.Paths {
				sum += p.Objects
				if strings.HasPrefix(p.Path, "main.index[key]") || p.Root == "main.index" && p.Type == "" {
					t.Errorf("%s: %d objects, and the keys of the map are numbers", p.Path, p.Objects)
				}
			}
			if sum != r.Heap.Reached {
				t.Errorf("%d objects are on paths, %d are reached", sum, r.Heap.Reached)
			}
			if p := got["main.lists[*]"]; p.Retained < 3*300000*8 {
				t.Errorf("main.lists[*] retains %d bytes", p.Retained)
			}
			if t.Failed() {
				for _, p := range r.Paths[:min(60, len(r.Paths))] {
					t.Logf("%10d %8d %s %s", p.Retained, p.Objects, p.Path, p.Type)
				}
			}
		})
	}
}

// A report that is stored comes back, as JSON whole, as a profile with its roots;
// the difference between it and itself is nothing.
func TestStored(t *testing.T) {
	r := report(t, start(t, "GOTOOLCHAIN=local"), Options{Paths: true})
	dir := t.TempDir()
	asJSON, asProfile := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.pb.gz")
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.Profile(&b); err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{asJSON: data, asProfile: b.Bytes()} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	back, err := Load(asJSON)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back, cmpopts.IgnoreUnexported(Path{})); diff != "" {
		t.Errorf("as JSON (-was +is):\n%s", diff)
	}
	if back, err = Load(asProfile); err != nil {
		t.Fatal(err)
	}
	if changes := r.Diff(back); len(changes) > 0 {
		t.Errorf("as a profile it differs: %+v", changes)
	}
	if back.Heap.ReachedBytes != r.Heap.ReachedBytes {
		t.Errorf("%d bytes in the profile, %d in the report", back.Heap.ReachedBytes, r.Heap.ReachedBytes)
	}
}

// The difference has what grew first, and what is gone last.
func TestDiff(t *testing.T) {
	old := &Report{Roots: []Root{{Kind: "entry", Name: "a", Retained: 10}, {Kind: "global", Name: "b", Retained: 5}, {Kind: "global", Name: "gone", Retained: 7}}}
	now := &Report{Roots: []Root{{Kind: "entry", Name: "a", Retained: 30}, {Kind: "global", Name: "b", Retained: 5}, {Kind: "goroutine", Name: "new", Retained: 90}}}
	want := []Change{{Kind: "goroutine", Name: "new", New: 90}, {Kind: "entry", Name: "a", Old: 10, New: 30}, {Kind: "global", Name: "gone", Old: 7}}
	if diff := cmp.Diff(want, now.Diff(old)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// When the time is over, the program runs on and the totals are there.
func TestTimeout(t *testing.T) {
	pid := start(t, "GOTOOLCHAIN=local")
	r, err := OfProcess(context.Background(), pid, Options{Timeout: time.Nanosecond})
	if err == nil && !r.Partial {
		t.Fatal("it was read in a nanosecond")
	}
	if err != nil && !strings.Contains(err.Error(), "deadline") {
		t.Fatal(err)
	}
	if r := report(t, pid, Options{}); r.Heap.Reached == 0 {
		t.Error("nothing is reached")
	}
}

// What is no report is refused.
func TestLoadRefuses(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "no report": `{"a": 1}`, "broken": `{"goVersion": `, "text": "hello"} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 20: "1.0 MiB", 3 << 29: "1.5 GiB", 1<<64 - 1: "16.0 EiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
	if got := count(1234567) + " " + count(999) + " " + count(0); got != "1,234,567 999 0" {
		t.Error(got)
	}
}
