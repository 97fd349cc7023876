//go:build linux

package pressure

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/groups"
)

func write(t *testing.T, files map[string]string) {
	t.Helper()
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGroups(t *testing.T) {
	for _, c := range []struct {
		name, proc string
		files      map[string]string
		want       Reading
	}{
		{"v2", "0::/app/web\n", map[string]string{
			"app/web/memory.current": "900\n", "app/web/memory.max": "1000\n", "app/web/memory.stat": "anon 1\ninactive_file 60\nactive_file 40\n",
			"app/memory.max": "max\n"}, Reading{Used: 800, Limit: 1000, Of: "cgroup"}},
		{"v2, limit above", "0::/app/web\n", map[string]string{
			"app/web/memory.current": "900\n", "app/web/memory.max": "max\n", "app/memory.max": "1950\n", "app/memory.current": "1900\n",
			"app/memory.stat": "inactive_file 100\n"}, Reading{Used: 1800, Limit: 1950, Of: "cgroup app"}},
		{"v2, two limits", "0::/app/web\n", map[string]string{
			"app/web/memory.current": "900\n", "app/web/memory.max": "1000\n", "app/memory.max": "1950\n", "app/memory.current": "1000\n"},
			Reading{Used: 900, Limit: 1000, Of: "cgroup"}},
		{"v2, in a container", "0::/kubepods/pod1/abc\n", map[string]string{
			"memory.current": "10\n", "memory.max": "100\n"}, Reading{Used: 10, Limit: 100, Of: "cgroup"}},
		{"v1", "5:cpu:/x\n4:memory:/app\n0::/\n", map[string]string{
			"memory/app/memory.usage_in_bytes": "90\n", "memory/app/memory.limit_in_bytes": "100\n",
			"memory/app/memory.stat": "total_inactive_file 3\ntotal_active_file 2\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"}, Reading{Used: 85, Limit: 100, Of: "cgroup"}},
		{"v1 without limit", "4:memory:/app\n", map[string]string{
			"memory/app/memory.usage_in_bytes": "90\n", "memory/app/memory.limit_in_bytes": "9223372036854771712\n"}, Reading{}},
		{"none", "", nil, Reading{}},
		{"broken", "0:\n::\nx\n", nil, Reading{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			files := map[string]string{}
			for path, text := range c.files {
				files[filepath.Join(root, path)] = text
			}
			write(t, files)
			g := &Gauge{pid: os.Getpid(), in: find(root, c.proc)}
			got := g.Read(0)
			got.Room, got.passed = 0, false // see TestRoom
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// A program may enter a group after its start, as an entrypoint script does: the
// kills and the use of that group then count. Its last group counts at its end.
func TestMove(t *testing.T) {
	procs := groups.Limited(t, 64<<20)
	cmd := exec.Command("sh", "-c", "read go; "+groups.Enter(procs)+"exec cat")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := Open("/sys/fs/cgroup", cmd.Process.Pid, nil)
	start, moves := g.group(), g.Follow()
	if g.group() != start {
		t.Error("it moved before it entered the group")
	}
	fmt.Fprintln(in, "go\nready")
	if _, err := out.Read(make([]byte, 1)); err != nil { // cat runs
		t.Fatal(err)
	}
	if first, second := g.Follow(), g.Follow(); first != moves+1 || second != first {
		t.Errorf("moves are %d, then %d, then %d", moves, first, second)
	}
	entered := g.group()
	if entered.dir == start.dir || !slices.Contains(procs, filepath.Join(entered.dir, "cgroup.procs")) {
		t.Errorf("found in %s, then in %s, want one of %v", start.dir, entered.dir, procs)
	}
	if r := g.Read(0.9); r.Limit != 64<<20 {
		t.Errorf("%+v", r)
	}
	in.Close()
	p, err := process.Open(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	await.True(t, "the program ends", func() bool { stat, err := p.Stat(); return err != nil || stat.Dead() })
	if g.Follow(); g.group() != entered { // the kernel now reports the root of version 1
		t.Errorf("at its end found in %+v, want %+v", g.group(), entered)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if g.Follow(); g.group() != entered {
		t.Errorf("after its end found in %+v, want %+v", g.group(), entered)
	}
}

func TestGoMemoryLimit(t *testing.T) {
	for s, want := range map[string]int64{"off": 0, "1024": 1024, "2KiB": 2048, "3MiB": 3 << 20, "1GiB": 1 << 30, "1TiB": 1 << 40, "5B": 5, "-1": 0, "x": 0, "9999999999TiB": 0} {
		if got := parseLimit(s); got != want {
			t.Errorf("%s: %d", s, got)
		}
	}
	// The process' environment at its start counts, not ours.
	cmd := exec.Command("sleep", "60")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GOMEMLIMIT=1MiB"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	g := Open(t.TempDir(), cmd.Process.Pid, []string{"GOMEMLIMIT=2MiB"})
	if r := g.Read(0.9); r.Of != "GOMEMLIMIT" || r.Limit != 1<<20 || r.Used == 0 || r.Share() != float64(r.Used)/(1<<20) {
		t.Errorf("%+v", r)
	}
}

// The runtime's limit takes precedence over GOMEMLIMIT, and so does its last
// known value if reading fails.
func TestLimitOfNow(t *testing.T) {
	printed, failed := int64(0), error(nil)
	g := &Gauge{pid: os.Getpid(), limit: 1 << 20, GoLimit: func() (int64, error) { return printed, failed }}
	for i, c := range []struct {
		printed int64
		failed  error
		limit   int64
		of      string
	}{
		{0, os.ErrNotExist, 1 << 20, "GOMEMLIMIT"},
		{1 << 20, nil, 1 << 20, "GOMEMLIMIT"},
		{5 << 20, nil, 5 << 20, "debug.SetMemoryLimit"},
		{7, os.ErrNotExist, 5 << 20, "debug.SetMemoryLimit"},
		{math.MaxInt64, nil, 0, ""},
		{7, os.ErrNotExist, 0, ""},
	} {
		printed, failed = c.printed, c.failed
		if r := g.Read(0.9); r.Limit != c.limit || r.Of != c.of {
			t.Errorf("step %d: %+v", i, r)
		}
	}
}

func TestAlarm(t *testing.T) {
	a := Alarm{Share: 0.9, Rest: time.Minute}
	for i, c := range []struct {
		at   time.Duration
		used int64
		want bool
	}{
		{0, 10, false}, {1, 90, true}, {2, 99, false}, {3, 88, false}, {4, 95, false}, // not armed: never far below
		{5, 50, false}, {6, 95, false}, // armed, but too early
		{time.Minute + 1, 95, true}, {time.Minute + 2, 99, false},
	} {
		if got := a.Rings(c.at, Reading{Used: c.used, Limit: 100}); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
	// A stall rings at any use, and counts as pressure.
	stalling := Alarm{Share: 0.9, Rest: time.Minute}
	for i, want := range []bool{true, false} {
		if got := stalling.Rings(time.Duration(i), Reading{Stalled: true}); got != want {
			t.Errorf("stall %d: %v", i, got)
		}
	}
	never := Alarm{}
	if never.Rings(0, Reading{Used: 100, Limit: 100, Stalled: true}) {
		t.Error("an alarm without a share rang")
	}
}

// The gauge is read again before a program could have used what is left, unless
// the kernel will notify.
func TestRoom(t *testing.T) {
	const share = 0.5
	for name, c := range map[string]struct {
		files   map[string]string // of version 2, in the group app/web and above it
		watched map[string]int64
		room    int64
		wait    time.Duration
	}{
		"no limit":             {map[string]string{"app/web/memory.current": "10", "app/web/memory.max": "max"}, nil, unlimited, MaxWait},
		"far":                  {map[string]string{"app/web/memory.current": "0", "app/web/memory.max": "3221225472"}, nil, 3 << 29, MaxWait},
		"half of a second":     {map[string]string{"app/web/memory.current": "0", "app/web/memory.max": "1073741824"}, nil, 1 << 29, MaxWait / 2},
		"the group above":      {map[string]string{"app/web/memory.current": "0", "app/web/memory.max": "3221225472", "app/memory.current": "900", "app/memory.max": "2000"}, nil, 100, MinWait},
		"notified":             {map[string]string{"app/web/memory.current": "400", "app/web/memory.max": "1000"}, map[string]int64{"app/web": 1000}, unlimited, MaxWait},
		"notified of an older": {map[string]string{"app/web/memory.current": "400", "app/web/memory.max": "1000"}, map[string]int64{"app/web": 2000}, 100, MinWait},
		"notified, above it":   {map[string]string{"app/web/memory.current": "800", "app/web/memory.max": "1000", "app/web/memory.stat": "inactive_file 500\n"}, map[string]int64{"app/web": 1000}, 200, MinWait},
		"more than the share":  {map[string]string{"app/web/memory.current": "800", "app/web/memory.max": "1000"}, nil, -300, MinWait},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			files := map[string]string{}
			for file, text := range c.files {
				files[filepath.Join(root, file)] = text + "\n"
			}
			write(t, files)
			watched := map[string]int64{}
			for dir, limit := range c.watched {
				watched[filepath.Join(root, dir)] = limit
			}
			g := &Gauge{pid: os.Getpid(), in: find(root, "0::/app/web\n"), watched: watched}
			if r := g.Read(share); r.Room != c.room || r.Wait() != c.wait {
				t.Errorf("room for %d bytes, wait %v; want %d and %v", r.Room, r.Wait(), c.room, c.wait)
			}
		})
	}
}
