//go:build linux

package pressure

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/process"
)

// A Verdict is what is known about the OOM killer's part in an end by SIGKILL.
type Verdict int

// Verdicts.
const (
	NotKilled     Verdict = iota // the OOM killer has not killed in the program's group lately
	PerhapsKilled                // how often it killed in that group before is not known
	Killed
)

// settled is the time between two readings of the counts. A sudden end is seen
// within less, unless the supervisor lacks processor time.
const settled = time.Second

// counts are the kernel's counts of OOM kills at one time.
type counts struct {
	when  time.Time
	line  string // text of /proc/PID/cgroup
	group int64  // kills in this group
	host  int64  // kills on the whole machine, -1 if not known
}

// count reads the counts again if they are old. They stay those of before the end:
// they are not read when the process may have been killed.
func (g *Gauge) count(host int64) {
	if host == notDue || stopped(g.pid) {
		return
	}
	now := counts{time.Now(), g.in.line, g.in.oomKills(), host}
	g.before = g.recent
	if g.before.when.IsZero() {
		g.before = now
	}
	g.recent = now
}

// notDue is the count of a machine while the last reading is fresh.
const notDue = -2

// hostKills returns the OOM kills on the whole machine, if the counts are due.
func (g *Gauge) hostKills() int64 {
	if time.Since(g.recent.when) < settled {
		return notDue
	}
	return keyedOr(g.vmstat, "oom_kill", -1)
}

// Verdict returns whether the OOM killer ended the process, which SIGKILL did: a
// rise of the count in its group during the last seconds shows that. For a
// program that entered its group since the last reading of the count, or whose
// last group is not known, the count of the whole machine and the kernel's log
// may show it.
func (g *Gauge) Verdict() Verdict {
	g.Follow()
	followed := !exiting(g.pid) // the kernel still reports the group
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.verdict(followed)
}

// verdict is Verdict for a process whose last group is known if it was followed.
func (g *Gauge) verdict(followed bool) Verdict {
	kills := g.in.oomKills()
	stayed := g.before.line == g.in.line
	switch {
	case stayed && kills > g.before.group, g.recent.line == g.in.line && kills > g.recent.group:
		return Killed
	case followed && g.in.dir != "" && (stayed || kills == 0):
		return NotKilled
	case g.before.host >= 0 && keyedOr(g.vmstat, "oom_kill", -1) == g.before.host:
		return NotKilled
	case logged(g.kmsg, g.pid, time.Since(g.before.when)):
		return Killed
	}
	return PerhapsKilled
}

// stopped reports whether the process is in a ptrace stop, like the one at its end,
// or has begun to exit.
func stopped(pid int) bool {
	stat, ok := statOf(pid)
	return !ok || stat.State == 't' || stat.Exiting || stat.Dead()
}

// exiting reports whether the process has begun to exit, or is gone.
func exiting(pid int) bool {
	stat, ok := statOf(pid)
	return !ok || stat.Exiting || stat.Dead()
}

func statOf(pid int) (stat process.Stat, ok bool) {
	p, err := process.Open(pid)
	if err != nil {
		return stat, false
	}
	defer p.Close()
	stat, err = p.Stat()
	return stat, err == nil
}

func (g group) oomKills() int64 {
	if g.dir == "" {
		return 0
	}
	file := "memory.oom_control"
	if g.v2 {
		file = "memory.events"
	}
	return keyed(filepath.Join(g.dir, file), "oom_kill")
}

// logged reports whether the kernel's log records that the OOM killer killed the
// process during the last time. The log has numbers of the initial PID namespace.
func logged(kmsg string, pid int, last time.Duration) bool {
	const initial = "pid:[4026531836]"
	if space, err := os.Readlink("/proc/self/ns/pid"); err != nil || space != initial {
		return false
	}
	fd, err := unix.Open(kmsg, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return false
	}
	since := time.Duration(now.Nano()) - last - drift(time.Duration(now.Nano()))
	record := make([]byte, 8<<10)
	for deadline := time.Now().Add(logWait); time.Now().Before(deadline); {
		n, err := unix.Read(fd, record)
		switch {
		case err == unix.EPIPE || err == unix.EINTR: // records were overwritten
		case err == unix.EAGAIN:
			more := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			_, _ = unix.Poll(more, int(time.Until(deadline).Milliseconds())+1)
		case err != nil || n == 0:
			return false
		case recordsKill(string(record[:n]), pid, since):
			return true
		}
	}
	return false
}

// drift bounds how slow the clock of the log is, compared with CLOCK_MONOTONIC, after this
// uptime: only the latter is adjusted to the time of the network. After ten hours, 12 ms were
// measured.
func drift(uptime time.Duration) time.Duration {
	const (
		rate  = 20_000 // 50 parts in a million
		least = 50 * time.Millisecond
		most  = 10 * time.Second // the kernel hardly gives a process ID again within that time
	)
	return min(least+uptime/rate, most)
}

// logWait bounds the reading of the log, and the wait for the kernel's record of a
// kill, which it may write after the signal.
const logWait = 500 * time.Millisecond

// recordsKill reports whether a record of /dev/kmsg, not older than since, is that
// of an OOM kill of the process: "3,1179,290551563,-;Memory cgroup out of memory:
// Killed process 18496 (name) ...". Records that programs have written have
// another facility.
func recordsKill(record string, pid int, since time.Duration) bool {
	const facilities = 8
	head, text, _ := strings.Cut(record, ";")
	fields := strings.Split(head, ",")
	if len(fields) < 3 {
		return false
	}
	kind, err := strconv.Atoi(fields[0])
	if err != nil || kind >= facilities {
		return false
	}
	micros, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || time.Duration(micros)*time.Microsecond < since {
		return false
	}
	for _, cause := range []string{"Memory cgroup out of memory", "Out of memory", "Out of memory (oom_kill_allocating_task)"} {
		if strings.HasPrefix(text, fmt.Sprintf("%s: Killed process %d (", cause, pid)) {
			return true
		}
	}
	// The summary before the kill. The name of the process may contain anything.
	at := strings.LastIndex(text, ",pid=")
	return strings.HasPrefix(text, "oom-kill:") && at >= 0 && strings.HasPrefix(text[at:], fmt.Sprintf(",pid=%d,uid=", pid))
}
