//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Installing prints and keeps the old setting; uninstalling restores it, and
// does not change other settings.
func TestCoreHandlerInstall(t *testing.T) {
	dir := t.TempDir()
	setting, before := filepath.Join(dir, "core_pattern"), filepath.Join(dir, "state", "before")
	const old = "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h\n"
	if err := os.WriteFile(setting, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := uninstallHandler(&out, before, setting); err == nil || !strings.Contains(err.Error(), "install did not write") {
		t.Errorf("another's handler: %v", err)
	}
	const line = "|/usr/bin/meminspect core-handler --dir=/var/cores %P %s %e"
	for range 2 { // the second time nothing is lost
		if err := installHandler(&out, line, before, setting); err != nil {
			t.Fatal(err)
		}
	}
	now, _ := os.ReadFile(setting)
	if string(now) != line+"\n" || !strings.Contains(out.String(), old) {
		t.Errorf("installed %q, printed %q", now, out.String())
	}
	// Another line of ours replaces the first, and the old setting is still kept.
	const other = "|/usr/bin/meminspect core-handler --dir=/srv/cores %P %s %e"
	if err := installHandler(&out, other, before, setting); err != nil {
		t.Fatal(err)
	}
	if now, _ := os.ReadFile(setting); string(now) != other+"\n" {
		t.Errorf("installed %q", now)
	}
	if err := uninstallHandler(&out, before, setting); err != nil {
		t.Fatal(err)
	}
	if now, _ := os.ReadFile(setting); string(now) != old {
		t.Errorf("put back %q", now)
	}
}

// The flags of install are in the handler's line, which the kernel bounds and
// splits at spaces.
func TestCoreHandlerLine(t *testing.T) {
	const exe = "/usr/bin/meminspect"
	t.Chdir("/tmp")
	for _, c := range []struct {
		args        string // separated by commas
		want, error string
	}{
		{"", "--dir=/var/lib/meminspect", ""},
		{"--dir,cores", "--dir=/tmp/cores", ""},
		{"--budget=1m,--before=b,--stacks=none,--dir=/c", "--dir=/c --budget=1MiB --stacks=none", ""},
		{"--depth=0,--full,--include=main.a,--include=main.b", "--dir=/var/lib/meminspect --depth=0 --full=true --include=main.a --include=main.b", ""},
		{"--dir,/var/cores,--stacks=none,--budget=1MiB,--limit=3/1h", "--dir=/var/cores --budget=1MiB --limit=3/1h --stacks=none", ""},
		{"--limit=3/1h,--keep=2,--dir=/c", "--dir=/c --keep=2 --limit=3/1h", ""},
		{"--recipients-file=team,--dir=/c", "--dir=/c --recipients-file=/tmp/team", ""},
		{"--policy=p.yaml,--dir=/c", "--dir=/c --policy=/tmp/p.yaml", ""},
		{"--to=exec:cat -n", "", `"--to=exec:cat -n" has a space`},
		{"--dir=/100%", "", `"--dir=/100%" has a space, %`},
		{"--dir=/" + strings.Repeat("x", 120), "", "the kernel accepts 127: use shorter paths or fewer flags"},
		{"--recipient=age1" + strings.Repeat("q", 80), "", "--recipients-file instead of --recipient"},
	} {
		flags := coreHandlerInstall().Flags()
		var args []string
		if c.args != "" {
			args = strings.Split(c.args, ",")
		}
		if err := flags.Parse(args); err != nil {
			t.Fatalf("%s: %v", c.args, err)
		}
		line, err := handlerLine(exe, flags)
		if c.error != "" {
			if err == nil || !strings.Contains(err.Error(), c.error) || line != "" {
				t.Errorf("%s: %q, %v, want an error with %q", c.args, line, err, c.error)
			}
			continue
		}
		if want := "|" + exe + " core-handler " + c.want + " %P %s %e"; err != nil || line != want {
			t.Errorf("%s:\n%q, %v, want\n%q", c.args, line, err, want)
		}
		// The handler accepts its line.
		handler := coreHandlerCommand().Flags()
		if err := handler.Parse(strings.Fields(line)[2:]); err != nil || handler.NArg() != 3 {
			t.Errorf("%s: the handler reads %q: %v", line, handler.Args(), err)
		}
	}
}

// The kernel passes the name that a process gave itself, whatever it is.
func TestCoreHandlerNames(t *testing.T) {
	for _, name := range []string{"--to=exec:true", "--full", "-h", "--", "", "a b"} {
		dir := t.TempDir()
		var out bytes.Buffer
		status := run(t.Context(), []string{"core-handler", "--dir", dir, strconv.Itoa(os.Getpid()), "6", name}, strings.NewReader(""), &out, &out)
		cores, _ := filepath.Glob(filepath.Join(dir, "*.signal-sigabrt.core"))
		if status != exitDone && status != exitPartial || len(cores) != 1 {
			t.Errorf("%q: exit status %d, cores %v: %s", name, status, cores, &out)
		}
	}
}

// The next core records how many cores the limits suppressed.
func TestCoreHandlerLimits(t *testing.T) {
	dir := t.TempDir()
	handle := func() (int, string) {
		var out bytes.Buffer
		args := []string{"core-handler", "--dir", dir, "--limit=1/2s", strconv.Itoa(os.Getpid()), "6", "server"}
		return run(t.Context(), args, strings.NewReader(""), &out, &out), out.String()
	}
	handle()
	for range 2 {
		if status, printed := handle(); status != exitUsage || !strings.Contains(printed, "rate limit for signal-sigabrt reached") {
			t.Errorf("exit status %d: %s", status, printed)
		}
	}
	time.Sleep(2 * time.Second) // the period of the limit
	handle()
	cores, _ := filepath.Glob(filepath.Join(dir, "*.core"))
	if len(cores) != 2 {
		t.Fatalf("cores %v", cores)
	}
	var out bytes.Buffer
	if run(t.Context(), []string{"info", cores[1]}, nil, &out, &out); !strings.Contains(out.String(), "suppressed: 2") {
		t.Errorf("the core does not say what was suppressed: %s", &out)
	}
}

// The user of a process reads the kernel's own core too, and a failure to let that user
// read a core does not hide where it is, nor what it lacks.
func TestCoreHandlerOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("starts a process of another user")
	}
	const user = 61234
	cmd := exec.Command("/bin/cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	for _, c := range []struct {
		flag    string
		owner   int // of the directory
		partial string
	}{
		{"--full=false", 0, "could not be read"},
		{"--full=true", 0, "the kernel's core was stored"},
		{"--full=false", user, "could not be read"},
		{"--full=true", user, "the kernel's core was stored"},
	} {
		dir := t.TempDir()
		if err := os.Chown(dir, c.owner, c.owner); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		status := run(t.Context(), []string{"core-handler", "--dir", dir, c.flag, strconv.Itoa(cmd.Process.Pid), "11", "cat"}, strings.NewReader("a core"), &out, &out)
		cores, _ := filepath.Glob(filepath.Join(dir, "*.core"))
		if status != exitPartial || !strings.Contains(out.String(), c.partial) || len(cores) != 1 {
			t.Fatalf("%+v: exit status %d, cores %v: %s", c, status, cores, &out)
		}
		failed := strings.Contains(out.String(), "the core is in "+cores[0]+", but its user 61234 cannot read it: ")
		_, err := unix.Getxattr(cores[0], aclName, nil)
		if allowed := c.owner == 0; allowed == failed || allowed != (err == nil) {
			t.Errorf("%+v: %v: %s", c, err, &out)
		}
	}
}

// The help of a handler has the handler's wait.
func TestCoreHandlerWaitUsage(t *testing.T) {
	for _, words := range [][]string{{"core-handler"}, {"core-handler", "install"}} {
		var out bytes.Buffer
		run(t.Context(), append(words, "--help"), nil, &out, &out)
		if printed := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(printed, "how long the handler waits") || strings.Contains(printed, "the restart of a program") {
			t.Errorf("%v: %s", words, &out)
		}
	}
	if handlerWait != 2*time.Minute || commandWait != 5*time.Minute {
		t.Error("the usage has other times")
	}
}
