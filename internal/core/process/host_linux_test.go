package process

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Names of control groups of Docker, podman, containerd and CRI-O, with and
// without Kubernetes, by systemd and by cgroupfs.
func TestContainers(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const uid = "01234567-89ab-cdef-0123-456789abcdef"
	for groups, want := range map[string][2]string{
		"0::/\n":                           {},
		"0::/user.slice/user-1000.slice\n": {},
		"0::/system.slice/docker-" + id + ".scope\n":            {id},
		"4:memory:/docker/" + id + "\n0::/\n":                   {id},
		"0::/machine.slice/libpod-" + id + ".scope/container\n": {id},
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod01234567_89ab_cdef_0123_456789abcdef.slice/cri-containerd-" + id + ".scope\n": {id, uid},
		"0::/kubepods/besteffort/pod" + uid + "/" + id + "\n":                                                                    {id, uid},
		"0::/system.slice/containerd.service/kubepods-pod01234567_89ab_cdef_0123_456789abcdef.slice:cri-containerd:" + id + "\n": {id, uid},
	} {
		container, pod := containerOf(groups)
		if container != want[0] || pod != want[1] {
			t.Errorf("%s: container %q, pod %q; want %q", groups, container, pod, want)
		}
	}
}

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
	if age := time.Since(h.Started); age < -2*time.Second || age > time.Hour {
		t.Errorf("it started %v ago", age)
	}
	if h.Resident < 1<<20 || h.Peak < h.Resident {
		t.Errorf("%d bytes of memory, %d at most", h.Resident, h.Peak)
	}
}
