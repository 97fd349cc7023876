//go:build linux

package supervise

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/corefile/store"
	"github.com/meminspect/meminspect/internal/supervise/child"
	"github.com/meminspect/meminspect/internal/supervise/crashsocket"
	"github.com/meminspect/meminspect/internal/supervise/snapshots"
)

// supervisorOf returns a Supervisor of a process that is not watched, and its
// reports.
func supervisorOf(pid int) (*Supervisor, *bytes.Buffer) {
	var reports bytes.Buffer
	s := newSupervisor(Config{Report: &Reporter{W: &reports}}, "/bin/program")
	s.child = child.Other(pid)
	return s, &reports
}

func TestListed(t *testing.T) {
	few := map[int]string{20: "worker", 3: "sh"}
	if got, want := listed(few), "sh (pid 3), worker (pid 20)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	many := map[int]string{}
	for pid := range 14 {
		many[pid] = "worker"
	}
	if got := listed(many); strings.Count(got, "(pid ") != 10 || !strings.HasSuffix(got, "(pid 9), and 4 more") {
		t.Errorf("%q", got)
	}
}

// TestPublishInstead: the snapshots of a program that could not be captured at its
// end become cores, within the limits.
func TestPublishInstead(t *testing.T) {
	for _, c := range []struct {
		name      string
		snapshots int
		refused   error
		cores     int
		report    string
	}{
		{"one", 1, nil, 1, "from a snapshot"},
		{"none", 0, nil, 0, ""},
		{"refused", 1, &store.RefusedError{}, 0, "program"},
	} {
		s, reports := supervisorOf(os.Getpid())
		cores := 0
		s.config.Keeper = snapshots.Memory(1, 1<<20)
		s.config.Limits = func(string, string) (int, error) { return 0, c.refused }
		s.config.Sink = func(Core) (string, error) { cores++; return "a.core", nil }
		for range c.snapshots {
			if err := s.config.Keeper.Put(snapshots.Snapshot{When: time.Now(), Core: []byte("core"), Mark: snapshots.NewMark()}); err != nil {
				t.Fatal(err)
			}
		}
		s.publishInstead("oom-kill")
		if cores != c.cores || (reports.Len() > 0) != (c.report != "") || !strings.Contains(reports.String(), c.report) {
			t.Errorf("%s: %d cores, reported %q", c.name, cores, reports)
		}
	}
}

// A snapshot that the program's end made partial does not replace an older one.
func TestOvertaken(t *testing.T) {
	dead := exec.Command("sleep", "60")
	if err := dead.Start(); err != nil {
		t.Fatal(err)
	}
	defer dead.Wait()
	dead.Process.Kill()
	if err := unix.Waitid(unix.P_PID, dead.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pid           int
		partial, kept bool
		want          bool
	}{
		{os.Getpid(), true, true, false},
		{dead.Process.Pid, false, true, false},
		{dead.Process.Pid, true, false, false}, // better than nothing
		{dead.Process.Pid, true, true, true},
	} {
		s, _ := supervisorOf(c.pid)
		s.config.Keeper = snapshots.Memory(1, 1<<20)
		if c.kept {
			if err := s.config.Keeper.Put(snapshots.Snapshot{When: time.Now(), Core: []byte("core")}); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.overtaken(&capture.Summary{Partial: c.partial}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// The processes that have a socket open are found by its inode.
func TestHolders(t *testing.T) {
	c, programs, err := crashsocket.NewChannel()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	inode, err := crashsocket.Inode(programs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "60")
	cmd.ExtraFiles = []*os.File{programs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	programs.Close()
	if found := holders(inode); len(found) != 1 || found[cmd.Process.Pid] != "sleep" || !c.Inherited() {
		t.Errorf("%v, want process %d; inherited %v", found, cmd.Process.Pid, c.Inherited())
	}
	cmd.Process.Kill()
	cmd.Wait()
	if found := holders(inode); len(found) != 0 || c.Inherited() {
		t.Errorf("%v hold it after their end; inherited %v", found, c.Inherited())
	}
}

// A parent that does not embed the runtime is not captured for the status of a
// crashed child. A parent that embeds it, and a child, are.
func TestBlameless(t *testing.T) {
	for _, c := range []struct{ anchored, crashed, child, want bool }{
		{want: false},
		{crashed: true, want: true},
		{crashed: true, anchored: true, want: false},
		{crashed: true, child: true, want: false},
	} {
		s, _ := supervisorOf(os.Getpid())
		defer s.keeper.Close()
		s.image.Load().view.anchored = c.anchored
		if c.crashed {
			s.family.lost()
		}
		if c.child {
			s.parent = s
		}
		if got := s.blameless(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// A death has one capture, whichever goroutine claims it first.
func TestClaimDeath(t *testing.T) {
	s, _ := supervisorOf(os.Getpid())
	defer s.keeper.Close()
	if !s.claimDeath() || s.claimDeath() {
		t.Error("two may capture one death")
	}
}

// The number of watched processes is bounded; reaching the bound is reported
// once.
func TestFamilyBound(t *testing.T) {
	s, reports := supervisorOf(os.Getpid())
	defer s.keeper.Close()
	var last *Supervisor
	for range maxChildren {
		last = &Supervisor{}
		if !s.family.add(last, nil) {
			t.Fatal("no room below the bound")
		}
	}
	for range 2 {
		if s.family.add(s, nil) {
			t.Error("room above the bound")
		}
	}
	if n := strings.Count(reports.String(), "are not captured"); n != 1 {
		t.Errorf("reported %d times: %s", n, reports)
	}
	s.family.remove(last)
	if !s.family.add(s, nil) {
		t.Error("no room after one has left")
	}
}

// A view notices that its process runs another program, and works for an
// unreadable one.
func TestView(t *testing.T) {
	cmd := exec.Command("sh", "-c", "read line; exec sleep 60")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	v, _ := openView(cmd.Process.Pid)
	defer v.close()
	if v.replaced() || v.anchored || !v.readable() {
		t.Errorf("replaced %v, anchored %v, readable %v at the start", v.replaced(), v.anchored, v.readable())
	}
	fmt.Fprintln(in)
	await.True(t, "exec is noticed", v.replaced)
	none := &view{}
	if count, reason, err := none.asked(); count != 0 || err != nil || reason != "" || none.beats() != nil || none.paused() || none.backlog() != nil {
		t.Error("a program that cannot be read reports something")
	}
}

func TestEndReason(t *testing.T) {
	for status, want := range map[unix.WaitStatus]string{3 << 8: "exit-3", 9: "signal-sigkill", 11 | 0x80: "signal-sigsegv"} {
		if got := endReason(status); got != want {
			t.Errorf("%#x: %q, want %q", status, got, want)
		}
	}
}
