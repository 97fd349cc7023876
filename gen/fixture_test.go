package gen

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// fixture writes a txtar archive, which is one module, into a new folder, and
// makes a workspace of the module and this project's runtime.
func fixture(tb testing.TB, archive string) string {
	tb.Helper()
	dir, err := filepath.EvalSymlinks(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o666); err != nil {
			tb.Fatal(err)
		}
	}
	runtime, err := filepath.Abs("../runtime")
	if err != nil {
		tb.Fatal(err)
	}
	work := fmt.Sprintf("go 1.24.0\n\nuse (\n\t%q\n\t%q\n)\n", runtime, dir)
	if err := os.WriteFile(filepath.Join(dir, "go.work"), []byte(work), 0o666); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// generate runs the generator and fails the test if it reports findings.
func generate(tb testing.TB, dir string, patterns ...string) *Result {
	tb.Helper()
	result, err := Run(context.Background(), Config{Dir: dir, Patterns: patterns})
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range result.Findings {
		tb.Error(f)
	}
	return result
}

// goTool runs the go command and returns its output and whether it succeeded.
func goTool(tb testing.TB, dir string, env []string, args ...string) (string, bool) {
	tb.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// mustGo runs the go command and fails the test if it fails.
func mustGo(tb testing.TB, dir string, env []string, args ...string) string {
	tb.Helper()
	out, ok := goTool(tb, dir, env, args...)
	if !ok {
		tb.Fatalf("go %s:\n%s", strings.Join(args, " "), out)
	}
	return out
}

func readFile(tb testing.TB, path ...string) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}
