//go:build linux

package crash

import (
	"os/exec"
	"syscall"
	"testing"
)

// command runs the meminspect command.
func command(t testing.TB, args ...string) ([]byte, error) {
	return exec.Command(tool(t), args...).CombinedOutput()
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
