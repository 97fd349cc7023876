package place

import (
	"strings"
	"testing"
)

const (
	id      = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	sandbox = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	uidText = "01234567-89ab-cdef-0123-456789abcdef"
)

// Names of control groups of Docker, podman, containerd and CRI-O, with and
// without Kubernetes, by systemd and by cgroupfs.
func TestGroups(t *testing.T) {
	for groups, want := range map[string]Place{
		"":                                 {},
		"0::/\n":                           {},
		"0::/user.slice/user-1000.slice\n": {},
		"0::/podium/pod\n":                 {},
		"0::/system.slice/docker-" + id + ".scope\n":            {Container: id},
		"4:memory:/docker/" + id + "\n0::/\n":                   {Container: id},
		"0::/machine.slice/libpod-" + id + ".scope/container\n": {Container: id},
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod01234567_89ab_cdef_0123_456789abcdef.slice/cri-containerd-" + id + ".scope\n": {Container: id, PodUID: uidText},
		"0::/kubepods/besteffort/pod" + uidText + "/" + id + "\n":                                                                {Container: id, PodUID: uidText},
		"0::/system.slice/containerd.service/kubepods-pod01234567_89ab_cdef_0123_456789abcdef.slice:cri-containerd:" + id + "\n": {Container: id, PodUID: uidText},
		"0::/docker/" + sandbox + "/kubepods/pod" + uidText + "/" + id + "\n":                                                    {Container: id, PodUID: uidText}, // a cluster in a container
	} {
		if got := FromKernel(groups, ""); got != want {
			t.Errorf("%s: %+v, want %+v", groups, got, want)
		}
	}
}

// A container with its own view of control groups, as in version 2, has its IDs
// in its mounts.
func TestMounts(t *testing.T) {
	const rest = " rw,relatime - ext4 /dev/sda1 rw\n"
	for mounts, want := range map[string]Place{
		"":                                      {},
		"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n": {},
		"1 2 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname" + rest:                                                                                              {Container: id},
		"1 2 0:9 /containers/storage/overlay-containers/" + id + "/userdata/hosts /etc/hosts" + rest:                                                                               {Container: id},
		"1 2 8:1 /var/lib/docker/volumes/" + id + "/_data /data" + rest:                                                                                                            {},
		"1 2 8:1 /var/lib/kubelet/pods/" + uidText + "/etc-hosts /etc/hosts" + rest:                                                                                                {PodUID: uidText},
		"1 2 8:1 /pods/" + uidText + "/containers/server/1a2b /dev/termination-log" + rest:                                                                                         {PodUID: uidText},
		"1 2 8:1 /var/lib/kubelet/pods/" + uidText + "/etc-hosts /etc/hosts" + rest + "1 2 8:1 /io.containerd.grpc.v1.cri/sandboxes/" + sandbox + "/hostname /etc/hostname" + rest: {PodUID: uidText},
		"1 2 8:1 /io.containerd.grpc.v1.cri/sandboxes/" + sandbox + "/hostname /etc/hostname" + rest + "1 2 8:1 /var/lib/kubelet/pods/" + uidText + "/etc-hosts /etc/hosts" + rest: {PodUID: uidText},
	} {
		if got := FromKernel("0::/\n", mounts); got != want {
			t.Errorf("%s: %+v, want %+v", mounts, got, want)
		}
	}
	group := "0::/kubepods/pod" + uidText + "/" + id + "\n"
	if got := FromKernel(group, "1 2 8:1 /var/lib/docker/containers/"+sandbox+"/hostname /etc/hostname"+rest); got.Container != id {
		t.Errorf("the control group comes first: %+v", got)
	}
}

func TestEnvironment(t *testing.T) {
	env := map[string]string{"POD_NAME": "shop-7d9f", "POD_NAMESPACE": "prod", "NODE_NAME": "two\nlines", "CONTAINER_IMAGE": "registry/shop:1.2"}
	get := func(name string) string { return env[name] }
	want := Place{Pod: "shop-7d9f", Namespace: "prod", Image: "registry/shop:1.2"}
	if got := FromEnvironment(get); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := (Place{Pod: "mine"}).Or(want); got != (Place{Pod: "mine", Namespace: "prod", Image: "registry/shop:1.2"}) {
		t.Errorf("%+v", got)
	}
	for value, want := range map[string]bool{"": true, "ü": true, "a\x1b[31m": false, "\xff": false, strings.Repeat("x", MaxValue): true, strings.Repeat("x", MaxValue+1): false} {
		if Valid(value) != want {
			t.Errorf("%q: %v", value, !want)
		}
	}
}

// Whatever another process writes there, an ID is one.
func FuzzFromKernel(f *testing.F) {
	f.Add("0::/kubepods/pod"+uidText+"/"+id, "1 2 8:1 /pods/"+uidText+"/x /etc/hosts - \n")
	f.Fuzz(func(t *testing.T, groups, mounts string) {
		p := FromKernel(groups, mounts)
		if p.Container != "" && !isID(p.Container) || p.PodUID != "" && uid(p.PodUID) != p.PodUID {
			t.Errorf("%+v", p)
		}
	})
}
