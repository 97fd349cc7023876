//go:build linux

package pressure

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// notified waits for the watcher's notification.
func notified(t *testing.T, w *Watcher) (stalled bool) {
	t.Helper()
	select {
	case stalled = <-w.Tight:
		return stalled
	case <-time.After(10 * time.Second):
		t.Fatalf("no notification by %v", w.Kinds)
		return false
	}
}

// Version 2: the kernel reports a change of memory.events like that of any
// file.
func TestWatchEvents(t *testing.T) {
	root := t.TempDir()
	events := filepath.Join(root, "app/memory.events")
	write(t, map[string]string{
		filepath.Join(root, "app/memory.current"): "10\n", filepath.Join(root, "app/memory.max"): "100\n", events: "max 0\n"})
	g := &Gauge{pid: os.Getpid(), in: find(root, "0::/app\n")}
	w := g.Watch(0.9)
	if w == nil || !slices.Equal(w.Kinds, []string{"events"}) {
		t.Fatalf("%+v", w)
	}
	defer w.Close()
	select {
	case <-w.Tight:
		t.Error("a notification of nothing")
	case <-time.After(50 * time.Millisecond):
	}
	write(t, map[string]string{events: "max 1\n"})
	if notified(t, w) {
		t.Error("a notification of a stall")
	}
}

// Without notifications only the gauge is left.
func TestWatchNothing(t *testing.T) {
	g := &Gauge{pid: os.Getpid(), in: find(t.TempDir(), "0::/\n")}
	w := g.Watch(0.9)
	w.Close()
	if w != nil {
		t.Errorf("it watches %v", w.Kinds)
	}
}

// A watcher that cannot be made does not keep the gauge from being read in time.
func TestWatchFails(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "app")
	files := map[string]string{"memory.usage_in_bytes": "400\n", "memory.limit_in_bytes": "1000\n", "cgroup.event_control": "", "memory.pressure": ""}
	paths := map[string]string{}
	for file, text := range files {
		paths[filepath.Join(dir, file)] = text
	}
	write(t, paths)
	g := &Gauge{in: group{dir: dir, psi: filepath.Join(dir, "memory.pressure")}}
	w := g.Watch(0.5)
	if w == nil || !slices.Equal(w.Kinds, []string{"threshold", "stall"}) {
		t.Fatalf("%+v", w)
	}
	w.Close()
	if r := g.Read(0.5); r.Room != unlimited {
		t.Fatalf("room for %d bytes with a watcher", r.Room)
	}
	// The two notifications have a descriptor each, and registering them takes two more. The
	// pipe gets one.
	leaveDescriptors(t, 3)
	if w := g.Watch(0.5); w != nil {
		w.Close()
		t.Fatalf("it watches %v", w.Kinds)
	}
	if r := g.Read(0.5); r.Room != 100 {
		t.Errorf("room for %d bytes without a watcher", r.Room)
	}
}

// leaveDescriptors lets this process open that many files until the test ends.
func leaveDescriptors(t *testing.T, n int) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	limit := before
	for limit.Cur = 0; n > 0; limit.Cur++ {
		if _, err := unix.FcntlInt(uintptr(limit.Cur), unix.F_GETFD, 0); err != nil {
			n--
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
}

// makeGroup makes a control group in a real tree, or skips the test.
func makeGroup(t *testing.T, tree string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("making a control group needs root")
	}
	dir := fmt.Sprintf("%s/meminspect-pressure-%d", tree, os.Getpid())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("making a control group: ", err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	return dir
}

// Version 1, with the kernel's own files: a use above the share is reported.
func TestWatchThreshold(t *testing.T) {
	const tree = "/sys/fs/cgroup/memory"
	dir := makeGroup(t, tree)
	if err := os.WriteFile(dir+"/memory.limit_in_bytes", []byte("33554432"), 0); err != nil {
		t.Skip("setting a limit: ", err)
	}
	g := &Gauge{in: group{dir: dir}}
	w := g.Watch(0.5)
	if w == nil || !slices.Equal(w.Kinds, []string{"threshold"}) {
		t.Fatalf("%+v", w)
	}
	defer w.Close()
	inGroup(t, dir, "head -c 24000000 /dev/zero | tail -c 24000000 >/dev/null")
	if notified(t, w) {
		t.Error("a notification of a stall")
	}
}

// This kernel accepts the trigger on a real group's pressure.
func TestWatchStall(t *testing.T) {
	tree := ""
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(root, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			tree = root
		}
	}
	if tree == "" {
		t.Skip("no control groups of version 2 are mounted")
	}
	dir := makeGroup(t, tree)
	g := &Gauge{pid: os.Getpid(), in: find(tree, "0::/"+filepath.Base(dir)+"\n")}
	if g.in.psi == "" {
		t.Skip("this kernel has no memory.pressure")
	}
	w := g.Watch(0.9)
	if w == nil || !slices.Contains(w.Kinds, "stall") {
		t.Fatalf("%+v", w)
	}
	// Removing the group ends the trigger and nothing else.
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // for a trigger of a group that is gone
	w.Close()
}

func TestTellKeepsTheWorst(t *testing.T) {
	w := &Watcher{Tight: make(chan bool, 1)}
	w.tell(false)
	w.tell(true)
	w.tell(false)
	if !<-w.Tight {
		t.Error("a stall got lost")
	}
}

// inGroup runs a shell's line in a group.
func inGroup(t *testing.T, dir, line string) {
	t.Helper()
	out, err := exec.Command("sh", "-c", "echo $$ > "+dir+"/cgroup.procs; "+line).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
