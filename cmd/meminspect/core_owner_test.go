//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
			if err := as(dir, c.uid, command+" "+c.path); (err == nil) != want {
				t.Errorf("user %d: %s %s: %v", c.uid, command, c.path, err)
			}
		}
	}
}

// as runs a shell's line as a user.
func as(dir string, uid uint32, line string) error {
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return cmd.Run()
}

// A user who can put something else in the place of a core gets no right to it.
func TestOwnerOfSomethingElse(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("makes files of other users")
	}
	const user = 61234
	for name, replace := range map[string]func(dir, core, secret string) error{
		"symbolic link": func(_, core, secret string) error { return os.Symlink(secret, core) },
		"second name":   func(_, core, secret string) error { return os.Link(secret, core) },
		"another's": func(_, core, _ string) error {
			return errors.Join(os.WriteFile(core, nil, 0o600), os.Chown(core, user, user))
		},
		"pipe":      func(_, core, _ string) error { return unix.Mkfifo(core, 0o600) },
		"directory": func(_, core, _ string) error { return os.Mkdir(core, 0o700) },
		"writable": func(_, core, _ string) error {
			return errors.Join(os.WriteFile(core, nil, 0o600), os.Chmod(core, 0o622))
		},
		"user's directory": func(dir, core, _ string) error {
			return errors.Join(os.WriteFile(core, nil, 0o600), os.Chown(dir, user, user))
		},
		"shared directory": func(dir, core, _ string) error {
			return errors.Join(os.WriteFile(core, nil, 0o600), os.Chmod(dir, 0o777))
		},
		"link to a directory": func(dir, core, _ string) error {
			moved := dir + ".moved"
			return errors.Join(os.WriteFile(core, nil, 0o600), os.Rename(dir, moved), os.Symlink(moved, dir))
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir, secret := filepath.Join(root, "cores"), filepath.Join(root, "secret")
			core := filepath.Join(dir, "a.core")
			if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(secret, []byte("secret"), 0o600), replace(dir, core, secret)); err != nil {
				t.Fatal(err)
			}
			if err := letRead(core, user); err == nil {
				t.Error("no error")
			}
			for _, path := range []string{secret, core, dir, dir + ".moved"} {
				if n, err := unix.Getxattr(path, aclName, nil); err == nil {
					t.Errorf("%s has a list of %d bytes", path, n)
				}
			}
		})
	}
}

// Handlers that run at the same time keep each other's users on the directory's list.
func TestOwnersAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cores")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const first, users = 61000, 64
	var done sync.WaitGroup
	start := make(chan struct{})
	for uid := uint32(first); uid < first+users; uid++ {
		core := filepath.Join(dir, fmt.Sprint(uid, ".core"))
		if err := os.WriteFile(core, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		done.Go(func() {
			<-start
			if err := letRead(core, uid); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	done.Wait()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	entries, err := readACL(f)
	if err != nil {
		t.Fatal(err)
	}
	on := 0
	for _, e := range entries {
		if e.Tag == aclUser && e.ID >= first && e.ID < first+users && e.Perm == 5 {
			on++
		}
	}
	if on != users {
		t.Errorf("%d of %d users can list the directory", on, users)
	}
}

// What the kernel passes about the rights of a process, and nothing else, decides.
func TestSecureOf(t *testing.T) {
	for _, c := range []struct {
		vector        [][2]uintptr
		secure, known bool
	}{
		{nil, false, false},
		{[][2]uintptr{{6, 4096}, {23, 0}, {25, 1}}, false, true},
		{[][2]uintptr{{6, 4096}, {23, 1}}, true, true},
		{[][2]uintptr{{6, 23}, {25, 1}}, false, false},
	} {
		if secure, known := secureOf(c.vector); secure != c.secure || known != c.known {
			t.Errorf("%v: %v, %v", c.vector, secure, known)
		}
	}
	if isSecure("/proc/self") || !isSecure(t.TempDir()) {
		t.Error("wrong about this process, or about one without an answer")
	}
}
