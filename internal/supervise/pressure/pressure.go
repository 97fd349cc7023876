//go:build linux

// Package pressure measures how close a program is to its memory limit, so that
// it can be captured before the kernel kills it: the limit of its control
// group, version 2 or 1, and its own Go memory limit.
package pressure

import (
	"bytes"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/meminspect/meminspect/internal/core/process"
	"golang.org/x/sys/unix"
)

// A Gauge reads the memory use of one process and its control group. Its methods
// may be called from several goroutines.
type Gauge struct {
	// GoLimit, if not nil, returns the program's current Go memory limit,
	// math.MaxInt64 if there is none. If it fails, its last result applies, and
	// before the first one GOMEMLIMIT.
	GoLimit func() (int64, error)

	pid    int
	root   string // where control groups are mounted
	vmstat string // file with the counts of the whole machine
	kmsg   string // the kernel's log

	mu    sync.Mutex
	in    group
	moves int   // how often in was found anew
	limit int64 // GOMEMLIMIT of the program, 0 = none
	now   int64 // last result of GoLimit, 0 = none yet

	before, recent counts // the last two readings

	// watched has the limits of groups, by their folders: the kernel notifies a
	// Watcher when the use of these passes the share.
	watched map[string]int64
}

// A group is a control group that the process was found in. It does not change.
type group struct {
	line string // text of /proc/PID/cgroup
	dir  string // folder with the group's memory files, "" if they are not found
	v2   bool
	psi  string // the group's pressure file, "" if the kernel has no such file
}

// Open finds the process's control group under root, which is /sys/fs/cgroup on
// every system, and its Go memory limit in its environment: as the kernel
// reports it, or env if the process may not be read.
func Open(root string, pid int, env []string) *Gauge {
	g := &Gauge{pid: pid, root: root, vmstat: "/proc/vmstat", kmsg: "/dev/kmsg", limit: limitIn(env)}
	g.Replaced()
	return g
}

// Replaced reads what may have changed when the process has begun to run a
// program: its environment and its control group.
func (g *Gauge) Replaced() {
	if env, err := os.ReadFile(filepath.Join(process.Dir(g.pid), "environ")); err == nil {
		g.mu.Lock()
		g.limit, g.now = limitIn(strings.Split(string(env), "\x00")), 0
		g.mu.Unlock()
	}
	g.Follow()
}

// limitIn returns the GOMEMLIMIT of an environment, 0 if there is none.
func limitIn(env []string) (limit int64) {
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, "GOMEMLIMIT="); ok {
			limit = parseLimit(value)
		}
	}
	return limit
}

// Follow finds the process's control group again and returns how often it was
// another one so far. A process that may not be read, or that exits, stays in the
// last group.
func (g *Gauge) Follow() (moves int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	host := g.hostKills() // before the group: what happens in a new one is counted later
	moves = g.follow()
	g.count(host)
	return moves
}

func (g *Gauge) follow() (moves int) {
	text, err := slurp(filepath.Join(process.Dir(g.pid), "cgroup"))
	// The kernel reports the root group for a process that has begun to exit (version
	// 1), so the process is checked after the text is read.
	if err != nil || text == g.in.line || exiting(g.pid) {
		return g.moves
	}
	g.in = find(g.root, text)
	g.moves++
	return g.moves
}

// group returns the group that the process was last found in.
func (g *Gauge) group() group {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.in
}

// find parses a cgroup file of /proc (man cgroups): "0::/path" for version 2,
// "5:memory:/path" for the memory controller of version 1. In a container the
// path may be the host's while the mount shows the container's own group at its
// root.
func find(root, text string) group {
	g := group{line: text}
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[0] == "0" && parts[1] == "":
			folders := []string{root, filepath.Join(root, "unified")}
			if g.dir == "" {
				g.dir = with("memory.current", folders, parts[2])
				g.v2 = g.dir != ""
			}
			// The root group, the only one without cgroup.events, has the pressure of
			// the whole host.
			if folder := with("memory.pressure", folders, parts[2]); folder != "" && with("cgroup.events", []string{folder}, "") != "" {
				g.psi = filepath.Join(folder, "memory.pressure")
			}
		case strings.Contains(","+parts[1]+",", ",memory,") && g.dir == "":
			g.dir = with("memory.usage_in_bytes", []string{filepath.Join(root, "memory")}, parts[2])
		}
	}
	return g
}

// with returns the folder of a group that contains that file, in the first of
// the trees that has one.
func with(file string, trees []string, group string) string {
	for _, tree := range trees {
		for _, path := range []string{filepath.Join(tree, group), tree} {
			if _, err := os.Stat(filepath.Join(path, file)); err == nil {
				return path
			}
		}
	}
	return ""
}

// unlimited is the value from which version 1, and Go, mean "no limit".
const unlimited = 1 << 60

// A Reading is the used memory and its limit.
type Reading struct {
	Used, Limit int64
	Of          string // the limit: "cgroup", one above with its name, "GOMEMLIMIT" or "debug.SetMemoryLimit"

	// Room is what may be used in addition until a group reaches the share of its
	// limit without a notification of the kernel: the least of all groups, or
	// unlimited.
	Room int64

	// Stalled reports that the group was stalled on memory, whatever its limit:
	// see Watcher.
	Stalled bool

	passed bool // with page cache it has reached the share: no other notification comes
}

// growth is the rate at which a program is expected to take memory at most, in
// bytes a second.
const growth = 1 << 30

// Wait returns how long a gauge may wait before it reads again.
func (r Reading) Wait() time.Duration {
	if r.Room >= growth {
		return MaxWait
	}
	return max(MinWait, min(MaxWait, time.Duration(float64(r.Room)/growth*float64(time.Second))))
}

// Limits of Reading.Wait.
const (
	MinWait = 50 * time.Millisecond
	MaxWait = time.Second
)

// String returns the reading as a core's record has it.
func (r Reading) String() string {
	if r.Stalled {
		return "all of the group stood still for want of memory, for 15% of the time or more (memory.pressure)"
	}
	return fmt.Sprintf("%d of %d bytes used (%s)", r.Used, r.Limit, r.Of)
}

// Share returns the used part of the limit, 0 if there is no limit.
func (r Reading) Share() float64 {
	if r.Limit <= 0 {
		return 0
	}
	return float64(r.Used) / float64(r.Limit)
}

// Read returns the reading that is closest to its limit. Reclaimable page cache
// does not count as used; it is read only if the use including it reaches share
// of the limit, because the kernel has to add it up.
func (g *Gauge) Read(share float64) Reading {
	worst := Reading{Room: unlimited}
	if limit, of := g.goLimit(); limit > 0 {
		worst = Reading{Used: resident(g.pid), Limit: limit, Of: of, Room: unlimited}
	}
	g.mu.Lock()
	in, watched := g.in, g.watched
	g.mu.Unlock()
	if in.dir == "" {
		return worst
	}
	// A group above includes ours, and other processes may fill it: the kernel
	// then kills any of them.
	room := worst.Room
	for dir := range in.levels() {
		r, ok := in.level(dir, share)
		if !ok {
			break
		}
		if r.Share() > worst.Share() {
			worst = r
		}
		if r.Limit > 0 && (watched[dir] != r.Limit || r.passed) {
			room = min(room, int64(share*float64(r.Limit))-r.Used)
		}
	}
	worst.Room = room
	return worst
}

// levels returns the folders of the group and of those above it.
func (g group) levels() iter.Seq[string] {
	return func(yield func(string) bool) {
		for dir := g.dir; len(dir) > 1 && yield(dir); dir = filepath.Dir(dir) {
		}
	}
}

// limit reads the limit of the group or one above it; 0 means no limit. ok is
// false if it cannot be read.
func (g group) limit(dir string) (limit int64, ok bool) {
	file := "memory.limit_in_bytes"
	if g.v2 {
		file = "memory.max"
	}
	text, err := slurp(filepath.Join(dir, file))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n <= 0 || n >= unlimited { // "max"
		return 0, true
	}
	return n, true
}

// level reads the group or one above it. ok is false if its limit cannot be read.
func (g group) level(dir string, share float64) (r Reading, ok bool) {
	used, prefix := "memory.usage_in_bytes", "total_"
	if g.v2 {
		used, prefix = "memory.current", ""
	}
	n, ok := g.limit(dir)
	if n == 0 {
		return r, ok
	}
	r = Reading{Of: "cgroup", Used: number(dir, used), Limit: n}
	if dir != g.dir {
		r.Of = "cgroup " + filepath.Base(dir)
	}
	if r.Share() >= share {
		r.passed = true
		r.Used -= stat(dir, prefix+"inactive_file") + stat(dir, prefix+"active_file")
	}
	return r, true
}

// goLimit returns the program's Go memory limit, 0 if it has none, and its
// origin.
func (g *Gauge) goLimit() (limit int64, of string) {
	now, err := int64(0), error(nil)
	if g.GoLimit != nil { // it reads the process, so it is called without the lock
		now, err = g.GoLimit()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil && now != 0 {
		g.now = now
	}
	switch {
	case g.now >= unlimited:
		return 0, ""
	case g.now == 0 || g.now == g.limit:
		return g.limit, "GOMEMLIMIT"
	}
	return g.now, "debug.SetMemoryLimit"
}

func number(dir, file string) int64 {
	text, err := slurp(filepath.Join(dir, file))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64) // "max" is 0
	return n
}

func stat(dir, key string) int64 { return keyed(filepath.Join(dir, "memory.stat"), key) }

// keyed reads one number of a file of "key number" lines.
func keyed(path, key string) int64 { return keyedOr(path, key, 0) }

// keyedOr returns missing if there is no such number.
func keyedOr(path, key string, missing int64) int64 {
	found := missing
	_ = withText(path, func(text []byte) { // missing
		for line := range bytes.Lines(text) {
			if value, ok := bytes.CutPrefix(line, []byte(key+" ")); ok {
				found, _ = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
				return
			}
		}
	})
	return found
}

// slurp reads a small kernel file.
func slurp(path string) (text string, err error) {
	err = withText(path, func(b []byte) { text = string(b) })
	return text, err
}

// withText reads a small kernel file with one read, without the overhead of
// package os: it may be called many times a second. The text is valid until f
// returns.
func withText(path string, f func(text []byte)) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	buf := buffers.Get().(*[8 << 10]byte)
	defer buffers.Put(buf)
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return &os.PathError{Op: "read", Path: path, Err: err}
	}
	f(buf[:n])
	return nil
}

// buffers are of withText: without them a supervisor at rest would soon have to
// collect garbage.
var buffers = sync.Pool{New: func() any { return new([8 << 10]byte) }}

// resident returns the resident bytes of the process.
func resident(pid int) int64 {
	text, err := slurp(filepath.Join(process.Dir(pid), "statm"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.ParseInt(fields[1], 10, 64)
	return n * int64(os.Getpagesize())
}

// parseLimit parses a GOMEMLIMIT as the Go runtime does: bytes, or with a unit
// from B to TiB. It returns 0 for "off" and for values that the runtime
// rejects.
func parseLimit(s string) int64 {
	unit := int64(1)
	for i, suffix := range []string{"TiB", "GiB", "MiB", "KiB", "B"} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = rest, 1<<(40-10*i)
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > (1<<63-1)/unit {
		return 0
	}
	return n * unit
}

// An Alarm rings once when a share of the limit is passed, or when the group
// stalls. It rings again only after the use has fallen well below it, and at
// most once in Rest.
type Alarm struct {
	Share float64 // 0 = never
	Rest  time.Duration

	armed bool
	begun bool
	last  time.Duration
}

// below is how far the use must fall before the alarm is armed again.
const below = 0.05

// Rests reports whether the alarm cannot ring at a time of a monotonic clock.
func (a *Alarm) Rests(now time.Duration) bool {
	return a.Share <= 0 || a.begun && now-a.last < a.Rest
}

// Rings evaluates a reading at a time of a monotonic clock.
func (a *Alarm) Rings(now time.Duration, r Reading) bool {
	if !a.begun {
		a.begun, a.armed, a.last = true, true, now-a.Rest
	}
	switch share := r.Share(); {
	case a.Share <= 0 || share < a.Share-below && !r.Stalled:
		a.armed = true
	case (r.Stalled || share >= a.Share) && a.armed && now-a.last >= a.Rest:
		a.armed, a.last = false, now
		return true
	}
	return false
}
