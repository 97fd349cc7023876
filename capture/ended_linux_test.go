package capture_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
)

// The error of a capture of a program that has ended names that, and no rule of
// the kernel as the cause.
func TestEnded(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	pid := cmd.Process.Pid
	cmd.Process.Kill()
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil { // a zombie
		t.Fatal(err)
	}
	_, err := capture.Capture(t.Context(), pid, capture.Options{})
	if err == nil || !strings.Contains(err.Error(), "it has ended, and its memory is gone") || !capture.IsUnreadable(err) {
		t.Errorf("capture: %v", err)
	}
	if checks := capture.Diagnose(pid); len(checks) != 2 || checks[1].What != "alive" || checks[1].OK {
		t.Errorf("%+v", checks)
	}
}

// Only a thread of the kernel is called one.
func TestKernelThread(t *testing.T) {
	kernel := func(pid int) bool {
		return slices.ContainsFunc(capture.Diagnose(pid), func(c capture.Check) bool { return c.What == "kernel thread" })
	}
	if kernel(os.Getpid()) {
		t.Error("this process is called a thread of the kernel")
	}
	const kthreadd = 2
	if name, err := os.ReadFile("/proc/2/comm"); err != nil || string(name) != "kthreadd\n" {
		t.Skip("process 2 is not the kernel's here")
	}
	if !kernel(kthreadd) {
		t.Errorf("%+v", capture.Diagnose(kthreadd))
	}
}
