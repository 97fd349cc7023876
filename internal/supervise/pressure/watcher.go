//go:build linux

package pressure

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A Watcher makes the kernel report when memory gets short, between two polls
// of a Gauge:
//
//   - version 1: the use of the group, or of one above it, passes the share
//     (cgroup.event_control);
//   - version 2: one of these groups was at its limit (memory.events changed);
//   - either: all of the group was stalled on memory for 15 % of the
//     time (memory.pressure), as it does when it only just fits.
//
// Each is used if the kernel and the permissions allow it. A missing one does
// no harm, because the gauge is polled anyway.
type Watcher struct {
	// Tight gets a value when the gauge should be read now: true if the group
	// stalled.
	Tight chan bool

	// Kinds lists the kernel's available notifications: "threshold", "events",
	// "stall".
	Kinds []string

	fds  []unix.PollFd
	keep []*os.File // owners of those descriptors
	stop *os.File   // closed to end the watch
	done chan struct{}
}

// A stall is this much of the time of all tasks within this window, in
// microseconds. A window that is not a multiple of two seconds needs
// CAP_SYS_RESOURCE.
var stalls = []string{"full 150000 1000000", "full 300000 2000000"}

// Watch begins to watch the group that the process was last found in. share is the
// threshold as a part of the limit. It returns nil if the kernel provides no
// notification.
func (g *Gauge) Watch(share float64) *Watcher {
	w, watched := watch(g.group(), share)
	g.mu.Lock()
	g.watched = watched
	g.mu.Unlock()
	return w
}

// watch returns a watcher of a group, or nil, and the limits of which the kernel reports
// that the share is passed. Without a watcher the gauge must be read in time for each.
func watch(in group, share float64) (w *Watcher, watched map[string]int64) {
	w, watched = &Watcher{Tight: make(chan bool, 1), done: make(chan struct{})}, map[string]int64{}
	w.threshold(in, share, watched)
	w.events(in)
	w.stall(in)
	if len(w.fds) == 0 {
		return nil, nil
	}
	end, stop, err := os.Pipe()
	if err != nil {
		w.close()
		return nil, nil
	}
	w.stop = stop
	w.add("", end, unix.POLLIN)
	go w.wait()
	return w, watched
}

// Close ends the watch. It may be called on nil.
func (w *Watcher) Close() {
	if w == nil {
		return
	}
	w.stop.Close()
	<-w.done
	w.close()
}

func (w *Watcher) close() {
	for _, f := range w.keep {
		f.Close()
	}
}

func (w *Watcher) add(kind string, f *os.File, events int16) {
	if kind != "" {
		w.Kinds = append(w.Kinds, kind)
	}
	w.keep = append(w.keep, f)
	w.fds = append(w.fds, unix.PollFd{Fd: int32(f.Fd()), Events: events})
}

// threshold asks version 1 groups (cgroup-v1/memory.rst, section 9) to raise an
// eventfd whenever their use passes the share of their own limits, which it adds
// to watched.
func (w *Watcher) threshold(g group, share float64, watched map[string]int64) {
	if g.dir == "" || g.v2 {
		return
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return
	}
	event := os.NewFile(uintptr(fd), "memory threshold")
	for dir := range g.levels() {
		limit, ok := g.limit(dir)
		if !ok {
			break
		}
		if limit > 0 && raise(fd, dir, int64(share*float64(limit))) == nil {
			watched[dir] = limit
		}
	}
	if len(watched) == 0 {
		event.Close()
		return
	}
	w.add("threshold", event, unix.POLLIN)
}

// raise makes a version 1 group raise the eventfd when its use passes a number of
// bytes.
func raise(eventfd int, dir string, bytes int64) error {
	use, err := os.Open(filepath.Join(dir, "memory.usage_in_bytes"))
	if err != nil {
		return err
	}
	defer use.Close()
	line := fmt.Sprintf("%d %d %d", eventfd, use.Fd(), bytes)
	return os.WriteFile(filepath.Join(dir, "cgroup.event_control"), []byte(line), 0)
}

// events watches the counters of version 2 groups, which the kernel reports as
// a change of their file.
func (w *Watcher) events(g group) {
	if !g.v2 {
		return
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return
	}
	changes := os.NewFile(uintptr(fd), "memory events")
	watched := 0
	for dir := range g.levels() {
		limit, ok := g.limit(dir)
		if !ok {
			break
		}
		if limit == 0 && dir != g.dir {
			continue // its events are those of the groups below it
		}
		if _, err := unix.InotifyAddWatch(fd, filepath.Join(dir, "memory.events"), unix.IN_MODIFY); err == nil {
			watched++
		}
	}
	if watched == 0 {
		changes.Close()
		return
	}
	w.add("events", changes, unix.POLLIN)
}

// stall sets a trigger on the group's pressure (accounting/psi.rst).
func (w *Watcher) stall(g group) {
	if g.psi == "" {
		return
	}
	for _, trigger := range stalls {
		fd, err := unix.Open(g.psi, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		f := os.NewFile(uintptr(fd), g.psi)
		if _, err := unix.Write(fd, append([]byte(trigger), 0)); err == nil {
			w.add("stall", f, unix.POLLPRI)
			return
		}
		f.Close()
	}
}

// rest bounds the cost of a group that oscillates around its limit.
const rest = 10 * time.Millisecond

// wait passes on the kernel's notifications until the watch is closed.
func (w *Watcher) wait() {
	defer close(w.done)
	end := len(w.fds) - 1
	var buf [4096]byte
	for {
		if _, err := unix.Poll(w.fds, -1); err != nil && err != unix.EINTR {
			return
		}
		if w.fds[end].Revents != 0 {
			return
		}
		tight, stalled := false, false
		for i := range w.fds[:end] {
			fd := &w.fds[i]
			switch {
			case fd.Revents&(unix.POLLERR|unix.POLLNVAL) != 0:
				fd.Fd = -1 // the group is gone; poll ignores it
			case fd.Revents&unix.POLLPRI != 0:
				tight, stalled = true, true
			case fd.Revents&unix.POLLIN != 0:
				tight = true
				_, _ = unix.Read(int(fd.Fd), buf[:]) // a counter or a change, which reading resets
			}
		}
		if tight {
			w.tell(stalled)
			time.Sleep(rest)
		}
	}
}

// tell does not block: an unread value has the same meaning, unless it is
// weaker.
func (w *Watcher) tell(stalled bool) {
	select {
	case w.Tight <- stalled:
		return
	default:
	}
	if !stalled {
		return
	}
	select {
	case <-w.Tight:
	default:
	}
	select {
	case w.Tight <- true:
	default:
	}
}
