//go:build linux

// Package peak measures, for benchmarks, the most memory that a command has
// resident. Linux counts for a process what its parent had when it started it:
// a test binary's own memory would be the least that it could find. So a small
// command of its own (runner) starts the one that is measured.
package peak

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Runner is the path of the built runner.
type Runner string

// Build builds the runner into a folder of the test.
func Build(tb testing.TB) Runner {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "runner")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/meminspect/meminspect/internal/peak/runner").CombinedOutput(); err != nil {
		tb.Fatalf("build the runner: %v\n%s", err, out)
	}
	return Runner(path)
}

// Run runs a command to its end and returns the most bytes that it or a
// process it waited for had resident, some 3 MB at least, which the runner has
// itself. Of cmd, Path, Args, Dir and Env count. An error holds the end of what
// the command printed.
func (r Runner) Run(cmd *exec.Cmd) (int64, error) {
	var printed, result strings.Builder
	through := exec.Command(string(r), append([]string{cmd.Path}, cmd.Args[1:]...)...)
	through.Dir, through.Env = cmd.Dir, cmd.Env
	through.Stdout, through.Stderr = &result, &printed
	if err := through.Run(); err != nil {
		text := printed.String()
		return 0, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, text[max(0, len(text)-2000):])
	}
	bytes, err := strconv.ParseInt(result.String(), 10, 64)
	if err != nil {
		return 0, errors.New("the runner printed " + strconv.Quote(result.String()))
	}
	return bytes, nil
}
