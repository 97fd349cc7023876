package kinds

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Start runs the program until it is ready and stops it there (SIGSTOP): its
// memory does not change until the test ends.
func Start(tb testing.TB, path string, args ...string) (pid int) {
	tb.Helper()
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		stdin.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		tb.Fatalf("the program printed %q, %v", line, err)
	}
	pid = cmd.Process.Pid
	for deadline := time.Now().Add(time.Minute); !reads(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatal("the program does not read its standard input")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		tb.Fatal(err)
	}
	if _, err := syscall.Wait4(pid, nil, syscall.WUNTRACED, nil); err != nil {
		tb.Fatalf("waiting until the program stops: %v", err)
	}
	return pid
}

// reads reports whether a thread of a process waits for standard input.
func reads(pid int) bool {
	calls, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	read := fmt.Sprintf("%d 0x0 ", syscall.SYS_READ)
	return slices.ContainsFunc(calls, func(call string) bool {
		text, err := os.ReadFile(call) // fails for a thread that has ended
		return err == nil && strings.HasPrefix(string(text), read)
	})
}
