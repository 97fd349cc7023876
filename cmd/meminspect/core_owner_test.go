//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// undumpable makes this test binary a process whose memory other users may not read.
const undumpable = "MEMINSPECT_TEST_UNDUMPABLE"

func TestUndumpableHelper(t *testing.T) {
	if os.Getenv(undumpable) == "" {
		t.Skip("a helper of TestOwner")
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	_, _ = io.ReadAll(os.Stdin)
}

// The user of a process reads its core and no other. A program that has more
// rights than its user keeps its core from that user.
func TestOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("starts processes of other users")
	}
	const user, other = 61234, 61235
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program := func(name string, mode os.FileMode, attribute []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		data, err := os.ReadFile("/bin/cat")
		if err == nil {
			err = os.WriteFile(path, data, 0o755)
		}
		if err == nil {
			err = os.Chmod(path, mode)
		}
		if err == nil && attribute != nil {
			err = unix.Setxattr(path, "security.capability", attribute, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	self := filepath.Join(dir, "self.test")
	if data, err := os.ReadFile("/proc/self/exe"); err != nil || os.WriteFile(self, data, 0o755) != nil {
		t.Fatal(err)
	}
	capability := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // CAP_NET_BIND_SERVICE, effective
	for name, c := range map[string]struct {
		path string
		args []string
		uid  uint32
		want bool
	}{
		"plain":         {program("plain", 0o755, nil), nil, user, true},
		"the superuser": {program("root", 0o755, nil), nil, 0, false},
		"set-user-ID":   {program("setuid", 0o755|os.ModeSetuid, nil), nil, user, false},
		"set-group-ID":  {program("setgid", 0o755|os.ModeSetgid, nil), nil, user, false},
		"capability":    {program("capability", 0o755, capability), nil, user, false},
		"not dumpable":  {self, []string{"-test.run=TestUndumpableHelper", "-test.v"}, user, false},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(c.path, c.args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), undumpable+"=1")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.uid}}
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer in.Close()
			fmt.Fprintln(in, "ready") // cat repeats it: its exec is over
			lines := bufio.NewScanner(out)
			for lines.Scan() && !strings.Contains(lines.Text(), "ready") {
			}
			if uid, ok := ownerOf(cmd.Process.Pid); ok != c.want || ok && uid != c.uid {
				t.Errorf("user %d, %v; want %v", uid, ok, c.want)
			}
		})
	}

	store := filepath.Join(dir, "cores")
	core, hers := filepath.Join(store, "a.core"), filepath.Join(store, "b.core")
	for _, err := range []error{os.Mkdir(store, 0o700), os.WriteFile(core, []byte("core"), 0o600), os.WriteFile(hers, []byte("core"), 0o600), letRead(core, user), letRead(hers, other), letRead(core, user)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		uid  uint32
		path string
		want bool
	}{{user, core, true}, {user, hers, false}, {other, hers, true}, {other, core, false}, {61236, core, false}} {
		for command, want := range map[string]bool{"cat": c.want, "truncate -s0": false, "rm -f": false} {
			cmd := exec.Command("sh", "-c", command+" "+c.path)
			cmd.Dir = dir
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.uid}}
			if err := cmd.Run(); (err == nil) != want {
				t.Errorf("user %d: %s %s: %v", c.uid, command, c.path, err)
			}
		}
	}
}
