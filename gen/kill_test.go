//go:build unix

package gen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/folders"
	"github.com/meminspect/meminspect/internal/ledger"
	"github.com/meminspect/meminspect/internal/matrix"
)

// TestMain lets the test binary act as a generator that can be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MEMINSPECT_TEST_GENERATE"); dir != "" {
		_, err := Run(context.Background(), Config{Dir: dir, Patterns: []string{"./..."}})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const killPackages = 16

// annotateAll writes the packages' source with n annotations each.
func annotateAll(t *testing.T, dir string, n int) {
	t.Helper()
	for i := range killPackages {
		var source strings.Builder
		fmt.Fprintf(&source, "package p%d\n", i)
		for j := range n {
			fmt.Fprintf(&source, "\n//meminspect:entry\nvar v%d int\n", j)
		}
		path := filepath.Join(dir, fmt.Sprintf("p%d", i), "p.go")
		if err := os.WriteFile(path, []byte(source.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// A run that is killed at any moment leaves only whole generated files and
// ledgers, old or new. A generated file never contains an ID that the ledger
// lacks. The next run completes the work.
func TestKilledAtAnyMoment(t *testing.T) {
	var archive strings.Builder
	archive.WriteString("-- go.mod --\nmodule example.com/kill\n\ngo 1.24\n")
	for i := range killPackages {
		fmt.Fprintf(&archive, "-- p%d/p.go --\npackage p%d\n", i, i)
	}
	dir := fixture(t, archive.String())

	annotateAll(t, dir, 1)
	begin := time.Now()
	killedRun(t, dir, time.Hour, "")
	// Moments are spread around the time when files are written. The test searches
	// for that time, because machines differ and sources grow.
	center := time.Since(begin)

	random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	killed, between := 0, 0
	rounds := matrix.Choose(30, 100)
	for round := range rounds {
		n := 2 + round // more each time, so that every run writes all files
		annotateAll(t, dir, n)
		after := time.Duration((0.7 + 0.6*random.Float64()) * float64(center))
		// Writing takes a small part of a run. So every other run is killed just
		// after it has written the file of some package.
		watched := ""
		if round%2 == 0 {
			watched = filepath.Join(dir, fmt.Sprintf("p%d", random.IntN(killPackages)), "meminspect_gen.go")
			after = time.Minute
		}
		if killedRun(t, dir, after, watched) {
			killed++
		}
		switch updated := checkWhole(t, dir, n); {
		case t.Failed():
			t.Fatalf("in round %d, killed after %v", round, after)
		case updated > 0 && updated < killPackages:
			between++
		case watched != "":
		case updated == 0:
			center += center / 6
		default:
			center -= center / 12
		}
	}
	t.Logf("%d of %d runs were killed, %d in the midst of writing, around %v", killed, rounds, between, center)
	if killed < rounds/4 || between < rounds/20 {
		t.Errorf("only %d of %d runs were killed, %d in the midst of writing", killed, rounds, between)
	}
	generate(t, dir, "./...")
	checkWhole(t, dir, rounds+1)
	if result := generate(t, dir, "./..."); len(result.Changes) > 0 {
		t.Errorf("%d changes after everything was right", len(result.Changes))
	}
}

// killedRun starts a run and kills it after a time, or once a watched file has
// changed. It reports whether the run was killed.
func killedRun(t *testing.T, dir string, after time.Duration, watched string) bool {
	t.Helper()
	before, _ := os.Stat(watched) // nil if the file does not exist yet
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MEMINSPECT_TEST_GENERATE="+dir)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if watched != "" {
		done := make(chan struct{})
		defer close(done)
		go killOnChange(cmd.Process, watched, before, done)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		return true
	}
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	return false
}

// killOnChange kills p when the file differs from before.
func killOnChange(p *os.Process, file string, before os.FileInfo, done <-chan struct{}) {
	for {
		now, err := os.Stat(file)
		if err == nil && (before == nil || !os.SameFile(before, now)) {
			p.Kill()
			return
		}
		select {
		case <-done:
			return
		case <-time.After(20 * time.Microsecond):
		}
	}
}

// checkWhole checks every file of a tree whose source has n annotations per
// package, and counts the packages whose generated file is the new one.
func checkWhole(t *testing.T, dir string, n int) int {
	t.Helper()
	updated := 0
	for i := range killPackages {
		at := filepath.Join(dir, fmt.Sprintf("p%d", i))
		ids, err := ledger.Parse([]byte(readFile(t, at, ledger.FileName)))
		if err != nil {
			t.Errorf("%s: %v", at, err)
			return 0
		}
		text := readFile(t, at, "meminspect_gen.go")
		if _, err := parser.ParseFile(token.NewFileSet(), "gen.go", text, 0); err != nil {
			t.Errorf("%s: %v", at, err)
			return 0
		}
		// A whole file has one line per ID among the constants, and ends with its
		// guards.
		constants := strings.Count(text, "meminspect.ID = 0x")
		if guards := strings.Count(text, "_ = x[id"); guards != constants {
			t.Errorf("%s: %d constants, %d guards", at, constants, guards)
		}
		if constants > len(ids.Rows) {
			t.Errorf("%s: %d IDs in use, %d in the ledger", at, constants, len(ids.Rows))
		}
		if constants == n {
			updated++
		}
	}
	return updated
}

// A read-only folder gives a clear error, and nothing is lost.
func TestReadOnlyFolder(t *testing.T) {
	dir := fixture(t, "-- go.mod --\nmodule example.com/ro\n\ngo 1.24\n-- p/p.go --\npackage p\n\n//meminspect:entry\nvar a int\n")
	generate(t, dir, "./...")
	before := readFile(t, dir, "p/meminspect_gen.go") + readFile(t, dir, "p/meminspect.ids")
	if err := os.WriteFile(filepath.Join(dir, "p/p.go"), []byte("package p\n\n//meminspect:entry\nvar a, b int\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	run := func(command string) {
		t.Helper()
		cmd := exec.Command("sh", "-c", command+`exec "$0"`, os.Args[0])
		cmd.Env = append(os.Environ(), "MEMINSPECT_TEST_GENERATE="+dir)
		cmd.Dir = dir
		if os.Geteuid() == 0 && command == "" {
			// Root ignores read-only permissions: run as the user nobody.
			makeReadable(t, dir)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			cmd.Env = append(cmd.Env, "HOME=/nonexistent", "GOCACHE=off", "GOFLAGS=", "GOENV=off", "GOTELEMETRY=off", "GOPATH="+t.TempDir())
		}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "write "+filepath.Join(dir, "p", ledger.FileName)) {
			t.Errorf("%q: %v: %s", command, err, out)
		}
		if after := readFile(t, dir, "p/meminspect_gen.go") + readFile(t, dir, "p/meminspect.ids"); after != before {
			t.Error("something changed")
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "p", folders.TemporaryPrefix+"*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "p"), 0o555); err != nil {
		t.Fatal(err)
	}
	run("")
	if err := os.Chmod(filepath.Join(dir, "p"), 0o777); err != nil {
		t.Fatal(err)
	}
	// The same on a full disk: no file may grow.
	run("trap '' XFSZ; ulimit -f 0; ")
}

// makeReadable lets another user reach a test's folder and program.
func makeReadable(t *testing.T, dir string) {
	t.Helper()
	for _, path := range []string{dir, os.Args[0]} {
		for ; path != "/" && path != "."; path = filepath.Dir(path) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm()&0o005 != 0o005 {
				if err := os.Chmod(path, info.Mode().Perm()|0o055); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A later run removes what a killed run left, unless it is recent: it may
// belong to a concurrent run.
func TestLeftoversAreRemoved(t *testing.T) {
	dir := fixture(t, "-- go.mod --\nmodule example.com/left\n\ngo 1.24\n-- p.go --\npackage p\n\n//meminspect:entry\nvar a int\n")
	old, young := filepath.Join(dir, folders.TemporaryPrefix+"1.tmp"), filepath.Join(dir, folders.TemporaryPrefix+"2.tmp")
	for _, name := range []string{old, young} {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	generate(t, dir)
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Error("an old one is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("a young one is gone")
	}
}
