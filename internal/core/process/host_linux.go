package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/runtime/format/place"
)

// A Host describes where and since when a process runs. Unknown fields are
// empty or zero.
type Host struct {
	Started  time.Time
	Resident uint64 // current resident memory in bytes
	Peak     uint64 // maximum so far
	Place    place.Place
	Limits   []Limit
}

// A Limit is a limit of the process' control group, as the kernel writes it.
type Limit struct{ Name, Value string }

// Host returns what the kernel reports about a process without its help.
func (p *Process) Host() Host {
	var h Host
	if stat, err := p.Stat(); err == nil {
		h.Started = startTime(stat.Start)
	}
	if status, err := p.read("status"); err == nil {
		h.Resident = statusSize(string(status), "VmRSS:")
		h.Peak = statusSize(string(status), "VmHWM:")
	}
	if groups, err := p.read("cgroup"); err == nil {
		mounts, _ := p.read("mountinfo") // without it the pod may be unknown
		h.Place = place.FromKernel(string(groups), string(mounts))
		h.Limits = limitsOf("/sys/fs/cgroup", string(groups))
	}
	return h
}

// ticksPerSecond is USER_HZ, which is the same on all supported processors.
const ticksPerSecond = 100

// startTime converts clock ticks since boot to a time. It returns zero if the time since
// boot is not known. The boot time of /proc/stat is no help: it has whole seconds.
func startTime(ticks uint64) time.Time {
	var booted unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &booted); err != nil {
		return time.Time{}
	}
	since := time.Duration(booted.Nano()) - time.Duration(ticks)*time.Second/ticksPerSecond
	return time.Now().Add(-since)
}

// statusSize returns the value of a line of /proc/PID/status in bytes: the
// kernel writes kB.
func statusSize(status, key string) uint64 {
	for line := range strings.Lines(status) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == key {
			n, _ := strconv.ParseUint(f[1], 10, 54)
			return n << 10
		}
	}
	return 0
}

// limitFiles are the files of a control group that hold its limits, in both
// versions of the interface.
var limitFiles = []string{
	"memory.max", "memory.high", "memory.swap.max", "cpu.max", "pids.max",
	"memory.limit_in_bytes", "cpu.cfs_quota_us",
}

// limitsOf returns the limits of the groups in /proc/PID/cgroup, except
// unlimited ones. In a container, the group is often mounted at root.
func limitsOf(root, groups string) []Limit {
	var dirs []string
	for line := range strings.Lines(groups) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3) // ID, controllers, path
		if len(f) < 3 {
			continue
		}
		tree := filepath.Join(root, f[1])
		for _, dir := range []string{filepath.Join(tree, f[2]), tree} {
			if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
				dirs = append(dirs, dir)
				break
			}
		}
	}
	var limits []Limit
	for _, file := range limitFiles {
		for _, dir := range dirs {
			text, err := os.ReadFile(filepath.Join(dir, file))
			value := strings.TrimSpace(string(text))
			if err == nil && value != "" && !unlimited(value) {
				limits = append(limits, Limit{file, value})
				break
			}
		}
	}
	return limits
}

// unlimited reports whether the kernel's text means no limit: "max", "max 100000",
// -1, or in version 1 the largest number of pages.
func unlimited(value string) bool {
	first, _, _ := strings.Cut(value, " ")
	n, err := strconv.ParseInt(first, 10, 64)
	return first == "max" || err == nil && (n < 0 || n >= 1<<62)
}
