//go:build linux

package pressure

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/groups"
)

// The verdict is never more than what the counts show: whatever the counts of the
// group and of the machine are, before and after, and whether the program moved
// between the readings.
func TestVerdict(t *testing.T) {
	const hidden = -1
	for _, v2 := range []bool{true, false} {
		for _, c := range []struct {
			name                string
			moved               bool  // into the group, since the last reading
			before, after       int64 // in the group, hidden if it has no count
			hostBefore, hostNow int64
			early               bool // the group was read once, since the program moved
			want                Verdict
			wantAfterTheEnd     Verdict // if the group is not looked up at the end
		}{
			{name: "a kill in its group", before: 3, after: 4, hostBefore: 9, hostNow: 10, want: Killed, wantAfterTheEnd: Killed},
			{name: "none", before: 3, after: 3, hostBefore: 9, hostNow: 9, want: NotKilled, wantAfterTheEnd: NotKilled},
			{name: "one in another group", before: 3, after: 3, hostBefore: 9, hostNow: 10, want: NotKilled, wantAfterTheEnd: PerhapsKilled},
			{name: "entered a group without kills", moved: true, after: 0, hostBefore: 9, hostNow: 10, want: NotKilled, wantAfterTheEnd: PerhapsKilled},
			{name: "entered a group with kills", moved: true, after: 1, hostBefore: 9, hostNow: 10, want: PerhapsKilled, wantAfterTheEnd: PerhapsKilled},
			{name: "entered a group with older kills", moved: true, after: 7, hostBefore: 9, hostNow: 9, want: NotKilled, wantAfterTheEnd: NotKilled},
			{name: "entered, count of the machine not known", moved: true, after: 7, hostBefore: hidden, hostNow: hidden, want: PerhapsKilled, wantAfterTheEnd: PerhapsKilled},
			{name: "entered, read once, killed later", moved: true, early: true, before: 7, after: 8, hostBefore: 9, hostNow: 10, want: Killed, wantAfterTheEnd: Killed},
			{name: "entered, read once, perhaps too late", moved: true, early: true, before: 8, after: 8, hostBefore: 9, hostNow: 10, want: PerhapsKilled, wantAfterTheEnd: PerhapsKilled},
			{name: "no count, none on the machine", before: hidden, after: hidden, hostBefore: 9, hostNow: 9, want: NotKilled, wantAfterTheEnd: NotKilled},
			{name: "no count, one on the machine", before: hidden, after: hidden, hostBefore: 9, hostNow: 10, want: PerhapsKilled, wantAfterTheEnd: PerhapsKilled},
		} {
			t.Run(fmt.Sprintf("%s, v2 %v", c.name, v2), func(t *testing.T) {
				dir := t.TempDir()
				file := map[bool]string{true: "memory.events", false: "memory.oom_control"}[v2]
				in := group{line: "its group", dir: dir, v2: v2}
				if c.after == hidden {
					in.dir = ""
				}
				files := map[string]string{
					filepath.Join(dir, file):     fmt.Sprintf("oom 99\noom_kill %d\n", c.after),
					filepath.Join(dir, "vmstat"): fmt.Sprintf("nr_free_pages 1\noom_kill %d\n", c.hostNow),
				}
				if c.hostNow == hidden {
					files[filepath.Join(dir, "vmstat")] = "nr_free_pages 1\n"
				}
				write(t, files)
				before := counts{time.Now(), "its group", max(c.before, 0), c.hostBefore}
				recent := before
				if c.moved {
					before.line, before.group = "another", 0
					if !c.early {
						recent = before
					}
				}
				for _, end := range []struct {
					seen bool
					want Verdict
				}{{true, c.want}, {false, c.wantAfterTheEnd}} {
					g := &Gauge{vmstat: filepath.Join(dir, "vmstat"), kmsg: filepath.Join(dir, "none"), in: in, before: before, recent: recent}
					if got := g.verdict(end.seen); got != end.want {
						t.Errorf("followed to its end %v: %d, want %d", end.seen, got, end.want)
					}
				}
			})
		}
	}
}

// A kill of some time ago, of another process in the group, does not explain an end.
func TestVerdictForgets(t *testing.T) {
	dir := t.TempDir()
	kills := func(n int) {
		write(t, map[string]string{filepath.Join(dir, "memory.events"): fmt.Sprintf("oom_kill %d\n", n)})
	}
	line, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	g := &Gauge{pid: os.Getpid(), in: group{line: string(line), dir: dir, v2: true}}
	kills(5)
	g.Follow()
	kills(6)
	if got := g.Verdict(); got != Killed {
		t.Errorf("just after a kill: %d, want %d", got, Killed)
	}
	for range 2 {
		if got := g.Verdict(); got != Killed {
			t.Errorf("a second after a kill: %d, want %d", got, Killed)
		}
		g.recent.when = g.recent.when.Add(-settled)
		g.Follow()
	}
	if got := g.Verdict(); got != NotKilled {
		t.Errorf("long after a kill: %d, want %d", got, NotKilled)
	}
}

// The kernel's log counts for a kill of this process, of late, that the kernel
// itself has recorded.
func TestRecordsKill(t *testing.T) {
	const since = 290 * time.Second
	for record, want := range map[string]bool{
		"3,1179,290551563,-;Memory cgroup out of memory: Killed process 18496 (marked) total-vm:1294540kB": true,
		"3,1179,290551563,-;Out of memory: Killed process 18496 (a) b) total-vm:1294540kB":                 true,
		"6,1178,290551553,-;oom-kill:constraint=CONSTRAINT_MEMCG,task=marked,pid=18496,uid=0":              true,
		"6,1178,290551553,-;oom-kill:constraint=CONSTRAINT_MEMCG,task=,pid=18496,uid=,pid=7,uid=0":         false,
		"3,1179,289551563,-;Memory cgroup out of memory: Killed process 18496 (marked) total-vm:1294540kB": false,
		"3,1179,290551563,-;Memory cgroup out of memory: Killed process 1849 (marked) total-vm:1294540kB":  false,
		"3,1179,290551563,-;Memory cgroup out of memory: Killed process 184961 (x) total-vm:1294540kB":     false,
		"12,1179,290551563,-;Memory cgroup out of memory: Killed process 18496 (x) total-vm:1294540kB":     false,
		"3,1179;Memory cgroup out of memory: Killed process 18496 (x) total-vm:1294540kB":                  false,
		"": false,
	} {
		if got := recordsKill(record, 18496, since); got != want {
			t.Errorf("%q: %v", record, got)
		}
	}
}

// A process that the OOM killer ends in a group that it has just entered, in which
// it killed another before: the group's count does not show it, the kernel's log
// does, if it may be read.
func TestVerdictOfANewGroup(t *testing.T) {
	procs := groups.Limited(t, 16<<20)
	eater := func() *exec.Cmd {
		cmd := exec.Command("sh", "-c", "read go; "+groups.Enter(procs)+"exec tail /dev/zero")
		return cmd
	}
	die := func(cmd *exec.Cmd, before func()) {
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before()
		fmt.Fprintln(in, "go")
		if err := cmd.Wait(); cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("ended with %v", err)
		}
	}
	die(eater(), func() {})
	cmd := eater()
	var g *Gauge
	die(cmd, func() { g = Open("/sys/fs/cgroup", cmd.Process.Pid, nil) })
	// As the exit stop would find it.
	name := filepath.Base(filepath.Dir(procs[0]))
	text := fmt.Sprintf("4:memory:/%s\n0::/%s\n", name, name)
	g.in = find(g.root, text)
	g.kmsg = filepath.Join(t.TempDir(), "none")
	if got := g.verdict(true); got != PerhapsKilled {
		t.Errorf("without the kernel's log: %d, want %d", got, PerhapsKilled)
	}
	g.kmsg = "/dev/kmsg"
	f, err := os.Open(g.kmsg)
	if err != nil {
		t.Skip("the kernel's log: ", err)
	}
	f.Close()
	if got := g.verdict(true); got != Killed {
		t.Errorf("with the kernel's log: %d, want %d", got, Killed)
	}
}

// The allowance for the clock of the log grows with the uptime, within bounds.
func TestDrift(t *testing.T) {
	for uptime, want := range map[time.Duration]time.Duration{
		0:                     50 * time.Millisecond,
		10 * time.Hour:        1850 * time.Millisecond,
		1000 * 24 * time.Hour: 10 * time.Second,
	} {
		if got := drift(uptime); got != want {
			t.Errorf("after %v: %v, want %v", uptime, got, want)
		}
	}
}
