package heapreport

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/matrix"
)

var leakedLine = regexp.MustCompile(`(?m)^goroutine ([0-9]+) \[[^]]*\(leaked\)`)

// The goroutines that a report calls leaked are those of the runtime's own profile, which
// looks for them after the report and once more before another one.
func TestLeaks(t *testing.T) {
	for i, b := range []string{"GOTOOLCHAIN=local GOEXPERIMENT=goroutineleakprofile", "GOTOOLCHAIN=go1.27.3 GOEXPERIMENT="} {
		t.Run(b, func(t *testing.T) {
			if i > 0 && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			exe := filepath.Join(t.TempDir(), "leaks")
			build := exec.Command("go", "build", "-o", exe, ".")
			build.Dir, build.Env = "testdata/leaks", append(append(os.Environ(), "GOWORK=off"), strings.Fields(b)...)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			found, waiting := 0, 0
			for seed := range matrix.Choose(10, 100) {
				leaked, all := compareLeaks(t, exe, seed)
				found += leaked
				waiting += all
			}
			t.Logf("%d of %d goroutines are leaked", found, waiting)
			if found == 0 || found == waiting {
				t.Error("the programs prove nothing")
			}
		})
	}
}

// compareLeaks runs a program and returns how many goroutines are leaked, and how many
// there are.
func compareLeaks(t *testing.T, exe string, seed int) (leaked, all int) {
	t.Helper()
	cmd := exec.Command(exe, fmt.Sprint(seed))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	report := func() []string {
		r, err := OfProcess(context.Background(), cmd.Process.Pid, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Leaks == nil {
			t.Fatalf("seed %d: leaks are not known: %q", seed, r.Problems)
		}
		ids := []string{}
		for _, g := range r.Leaks.Groups {
			ids = append(ids, g.IDs...)
		}
		if len(ids) != r.Leaks.Count {
			t.Errorf("seed %d: %d IDs of %d goroutines", seed, len(ids), r.Leaks.Count)
		}
		slices.Sort(ids)
		return ids
	}
	before := report()
	if _, err := in.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	text, err := out.ReadString(0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{}
	for _, m := range leakedLine.FindAllStringSubmatch(text, -1) {
		want = append(want, m[1])
	}
	slices.Sort(want)
	after := report() // now the runtime has its own mark on them
	for when, got := range map[string][]string{"before": before, "after": after} {
		if !slices.Equal(got, want) {
			t.Errorf("seed %d, %s: the leaked goroutines are %v, the runtime's are %v\n%s", seed, when, got, want, text)
		}
	}
	return len(want), strings.Count("\n"+text, "\ngoroutine ")
}
