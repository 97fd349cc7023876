package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLimits(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"a/b/cgroup.procs": "", "a/b/memory.max": "104857600\n", "a/b/memory.high": "max\n", "a/b/cpu.max": "50000 100000\n", "a/b/pids.max": "max\n",
		"memory/cgroup.procs": "", "memory/memory.limit_in_bytes": "9223372036854771712\n",
		"cpu/x/cgroup.procs": "", "cpu/x/cpu.cfs_quota_us": "-1\n", "cpu/y/cgroup.procs": "", "cpu/y/cpu.cfs_quota_us": "50000\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for groups, want := range map[string][]Limit{
		"0::/a/b\n":          {{"memory.max", "104857600"}, {"cpu.max", "50000 100000"}},
		"0::/gone\n":         nil,
		"4:memory:/gone\n":   nil,
		"5:cpu:/x\n0::/no\n": nil,
		"5:cpu:/y\n":         {{"cpu.cfs_quota_us", "50000"}},
	} {
		if diff := cmp.Diff(want, limitsOf(root, groups)); diff != "" {
			t.Errorf("%s: want (-), got (+):\n%s", groups, diff)
		}
	}
}

// This test started a moment ago, and uses some memory.
func TestHost(t *testing.T) {
	p, err := Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	h := p.Host()
	if h.Resident < 1<<20 || h.Peak < h.Resident {
		t.Errorf("%d bytes of memory, %d at most", h.Resident, h.Peak)
	}
}

// The start of a process is known to a tick of the kernel's clock: a source file that was
// written just before is older.
func TestStarted(t *testing.T) {
	const tick = time.Second / ticksPerSecond
	for range 20 {
		cmd := exec.Command("sleep", "60")
		before := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := time.Now()
		p, err := Open(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		started := p.Host().Started
		p.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if started.Before(before.Add(-2*tick)) || started.After(after.Add(tick)) {
			t.Errorf("it started %v after it was asked to, within %v", started.Sub(before), after.Sub(before))
		}
	}
}
