//go:build linux

package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/inspect"
)

// The user nobody has no permissions.
const nobody = 65534

// forAll makes a file and its folders passable for other users.
func forAll(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// tool builds the command.
func tool(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "meminspect")
	if out, err := exec.Command("go", "build", "-o", exe, "../../cmd/meminspect").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exe
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("changing to another user needs root")
	}
}

// as runs the command as a user without rights and returns what it printed and
// its exit status.
func as(t *testing.T, exe, dir string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(exe, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// Without permissions the command reports the rule that forbids the capture and
// the remedy, and writes a core that records the reason; for the same user's
// processes it needs no permissions.
func TestRights(t *testing.T) {
	needRoot(t)
	meminspect := tool(t)
	forAll(t, meminspect, 0o755)
	exe := build(t, "wedged", []string{"CGO_ENABLED=0"})
	forAll(t, exe, 0o755)
	private := filepath.Join(t.TempDir(), "private")
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(private, data, 0o600); err != nil {
		t.Fatal(err)
	}
	forAll(t, private, 0o711)

	for _, c := range []struct {
		name string
		exe  string
		user uint32
		want string // "" = it works
	}{
		{"another user's", exe, 0, "user: it runs as user 0/0/0/0, this is user 65534"},
		{"the same user's", exe, nobody, ""},
		{"of mode 0711", private, nobody, "dumpable: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startAs(t, c.exe, c.user, "sleep")
			dir := t.TempDir()
			forAll(t, dir, 0o777)
			pid := fmt.Sprint(p.Process.Pid)
			printed, status := as(t, meminspect, dir, "capture", pid, "-o", "out.core")
			doctor, sick := as(t, meminspect, dir, "doctor", pid)
			core, err := inspect.Open(filepath.Join(dir, "out.core"))
			if err != nil {
				t.Fatalf("%v; the command printed\n%s", err, printed)
			}
			defer core.Close()
			if c.want == "" {
				if status != 0 || sick != 0 || !strings.Contains(printed, "2 of 2 regions complete") {
					t.Errorf("status %d and %d; the command printed\n%s%s", status, sick, printed, doctor)
				}
				return
			}
			if status != 3 || !strings.Contains(printed, c.want) {
				t.Errorf("status %d; the command printed\n%s", status, printed)
			}
			what, _, _ := strings.Cut(c.want, ":")
			if sick != 1 || !strings.Contains(doctor, "FAIL  "+what) || !strings.Contains(doctor, "to do: ") {
				t.Errorf("status %d; doctor printed\n%s", sick, doctor)
			}
		})
	}
}

// A file that is no longer readable is distinguished from one that is not a Go
// program.
func TestExecutableNotReadable(t *testing.T) {
	needRoot(t)
	meminspect := tool(t)
	forAll(t, meminspect, 0o755)
	exe := build(t, "wedged", []string{"CGO_ENABLED=0"})
	forAll(t, exe, 0o755)
	p := startAs(t, exe, nobody, "sleep")
	if err := os.Chmod(exe, 0o711); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	forAll(t, dir, 0o777)
	doctor, sick := as(t, meminspect, dir, "doctor", fmt.Sprint(p.Process.Pid))
	if sick != 1 || !strings.Contains(doctor, "FAIL  program") || !strings.Contains(doctor, "chmod a+r") {
		t.Errorf("status %d; doctor printed\n%s", sick, doctor)
	}
}

// startAs is start for another user.
func startAs(t *testing.T, exe string, user uint32, args ...string) *running {
	t.Helper()
	return startWith(t, exe, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}, args...)
}

// A program that a debugger holds is read without being stopped, and the
// debugger is named.
func TestTracedByAnother(t *testing.T) {
	exe := build(t, "wedged", []string{"CGO_ENABLED=0"})
	p := start(t, exe, "sleep")
	proc, err := process.Open(p.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	s, err := process.Stop(context.Background(), proc, process.StopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Resume()
	c, err := capture.Capture(context.Background(), p.Process.Pid, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Summary(); !s.Partial || s.Stopped != 0 || s.Regions.Complete != 2 || s.Problems[0].What != "stop" {
		t.Errorf("%+v", s)
	}
	if _, err := capture.Capture(context.Background(), p.Process.Pid, capture.Options{Stop: capture.StopAlways}); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a capture that must stop gives %v", err)
	}
	found := false
	for _, check := range capture.Diagnose(p.Process.Pid) {
		found = found || check.What == "stop" && !check.OK && strings.Contains(check.Note, fmt.Sprint("process ", os.Getpid()))
	}
	if !found {
		t.Errorf("doctor reports %+v", capture.Diagnose(p.Process.Pid))
	}
}

// What cannot be understood is refused with the reason.
func TestNotUnderstood(t *testing.T) {
	for _, c := range []struct {
		name, want string
		env        []string
	}{
		{"32 bits", "a 32-bit program", []string{"CGO_ENABLED=0", "GOARCH=386"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := sources(t, "states")
			exe := compile(t, goal{"1.26.8", way{c.name, c.env, nil}}, dir, "states")
			probe := exec.Command(exe)
			if err := probe.Start(); errors.Is(err, syscall.ENOEXEC) {
				t.Skip("this kernel runs no 32-bit programs: ", err)
			} else if err == nil {
				_ = probe.Process.Kill()
				_ = probe.Wait()
			}
			p := start(t, exe)
			_, err := capture.Capture(context.Background(), p.Process.Pid, capture.Options{})
			if !errors.Is(err, capture.ErrNotGo) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("it gives %v", err)
			}
			record, err := capture.WriteStub(p.Process.Pid, capture.Options{}, err)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "record.core")
			if err := corefile.Save(path, corefile.Form{}, corefile.From(record)); err != nil {
				t.Fatal(err)
			}
			core, err := inspect.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			core.Close()
		})
	}
}
