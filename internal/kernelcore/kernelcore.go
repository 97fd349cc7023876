//go:build linux

// Package kernelcore has the kernel write cores of programs, for tests.
package kernelcore

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Default is the coredump_filter that a process has by default:
// private memory that is not a file's, and the first pages of executables.
const Default = "0x33"

// Make runs a program in a folder of its own until it prints something, and ends
// it by a signal of which the kernel makes a core; 0 is for a program that comes
// to such an end by itself. Where the kernel's setting
// sends cores elsewhere, which is not this test's to change, the test is
// skipped.
func Make(tb testing.TB, filter string, sig syscall.Signal, program string, args ...string) string {
	tb.Helper()
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if name := strings.TrimSpace(string(pattern)); err != nil || strings.HasPrefix(name, "|") || strings.Contains(name, "/") {
		tb.Skipf("core_pattern is %q (%v): no core comes into the working directory", name, err)
	}
	dir := tb.TempDir()
	script := `ulimit -c unlimited && echo "$1" >/proc/self/coredump_filter && shift && exec "$@"`
	cmd := exec.Command("sh", append([]string{"-c", script, "sh", filter, program}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if sig != 0 && err == nil {
		_ = cmd.Process.Signal(sig)
	}
	_ = cmd.Wait()
	if sig != 0 && err != nil {
		if cmd.ProcessState.ExitCode() == 2 && line == "" {
			tb.Skip("no core may be made here: ulimit -c, or coredump_filter, cannot be set")
		}
		tb.Fatalf("the program printed %q: %v", line, err)
	}
	if !cmd.ProcessState.Sys().(syscall.WaitStatus).CoreDump() {
		tb.Skip("the kernel made no core: ", cmd.ProcessState)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(found) != 1 {
		tb.Fatalf("cores: %v %v", found, err)
	}
	return found[0]
}
