//go:build linux

package vm

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/meminspect/meminspect/internal/matrix"
)

// A container is a bundle of runc's: an empty root with two static programs, read-only,
// the user 10001 without capabilities, the default seccomp profile of container
// runtimes, limits of memory and of processes, and the program is process 1.
type container struct {
	name string
	// args are the command's; the pod's, if nil.
	args []string
	// change changes the configuration.
	change func(map[string]any)
	want   string // of the core's name, "" = no core
	status string // of runc
}

func process(config map[string]any) map[string]any { return config["process"].(map[string]any) }

// podLine returns the command line of the example of a pod, with the crasher in place of
// the service.
func podLine(t *testing.T, way string) []string {
	t.Helper()
	text, err := os.ReadFile(root + "/examples/deploy/pod.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var pod struct {
		Spec struct {
			Containers []struct{ Command, Args []string }
		}
	}
	if err := yaml.Unmarshal(text, &pod); err != nil || len(pod.Spec.Containers) != 1 {
		t.Fatalf("%v: %+v", err, pod)
	}
	return append(pod.Spec.Containers[0].Command, "/crasher", way)
}

// The command lines of the pod's example run in containers of runc.
func TestContainers(t *testing.T) {
	containers := []container{
		{name: "panic", args: podLine(t, "panic"), want: ".panic.core", status: "2"},
		{name: "sigkill", args: podLine(t, "sigkill"), want: ".signal-sigkill.core", status: "137"},
		{name: "exit", args: podLine(t, "exit0"), status: "0"},
		{name: "memory limit", args: podLine(t, "grow"), want: ".core", status: "137"},
		{name: "no ptrace", args: podLine(t, "panic"), want: ".panic.core", status: "2", change: func(c map[string]any) {
			// As container runtimes do before Linux 4.8.
			seccomp := c["linux"].(map[string]any)["seccomp"].(map[string]any)
			seccomp["syscalls"] = append([]any{map[string]any{"names": []string{"ptrace", "process_vm_readv"}, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}}, without(seccomp["syscalls"].([]any), "ptrace", "process_vm_readv")...)
		}},
		{name: "no seccomp", args: podLine(t, "panic"), want: ".panic.core", status: "2", change: func(c map[string]any) {
			delete(c["linux"].(map[string]any), "seccomp")
		}},
		{name: "few processes", args: podLine(t, "panic"), want: ".panic.core", status: "2", change: func(c map[string]any) {
			c["linux"].(map[string]any)["resources"].(map[string]any)["pids"] = map[string]any{"limit": 32}
		}},
	}
	onEach(t, func(t *testing.T, m *machine) {
		for i, c := range containers {
			if !matrix.Whole() && (i != 0 || m.kernel.Arch != "amd64") {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				out := m.run(t, `
rm -rf /tmp/bundle && mkdir -p /tmp/bundle/rootfs/dev /tmp/bundle/rootfs/proc /tmp/bundle/rootfs/sys /tmp/bundle/rootfs/cores /tmp/bundle/rootfs/tmp /tmp/bundle/cores /tmp/bundle/tmp
cp /programs/meminspect /tmp/bundle/rootfs/meminspect
cp /programs/crasher-plain /tmp/bundle/rootfs/crasher
chown 10001:10001 /tmp/bundle/cores /tmp/bundle/tmp
install -m 0666 /dev/null /tmp/bundle/message
cat >/tmp/bundle/config.json <<'END'
`+configuration(t, m.kernel.Arch, c)+`
END
contained() { s=0; runc run --bundle /tmp/bundle test >/tmp/log 2>&1 </dev/null || s=$?; return $s; }
cores=/tmp/bundle/cores
case '`+c.want+`' in "") contained;; *) until_core '`+c.args[len(c.args)-1]+`' contained;; esac
echo "status $s"
ls /tmp/bundle/cores
for core in /tmp/bundle/cores/*.core; do
	[ ! -e $core ] || meminspect print $core counter customer
done
cat /tmp/bundle/message
cat /tmp/log
`)
				if !strings.Contains(out, "status "+c.status+"\n") {
					t.Errorf("want status %s", c.status)
				}
				if got := strings.Contains(out, c.want+"\n") && c.want != ""; got != (c.want != "") || c.want == "" && strings.Contains(out, ".core\n") {
					t.Errorf("want a core %q", c.want)
				}
				if c.want != "" && !strings.Contains(out, values) {
					t.Error("no values")
				}
				if t.Failed() {
					t.Logf("it printed\n%s", out)
				}
			})
		}
	})
}

// without removes names from the rules of a seccomp profile.
func without(rules []any, names ...string) []any {
	for _, r := range rules {
		rule := r.(map[string]any)
		var left []any
		for _, name := range rule["names"].([]any) {
			if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+name.(string)+" ") {
				left = append(left, name)
			}
		}
		rule["names"] = left
	}
	return rules
}

// configuration returns config.json of a bundle.
func configuration(t *testing.T, arch string, c container) string {
	t.Helper()
	text, err := os.ReadFile("testdata/oci-config.json")
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	p := process(config)
	p["args"] = c.args
	p["env"] = append(p["env"].([]any), "POD_NAME=shop", "POD_NAMESPACE=prod", "NODE_NAME=node-3", "CONTAINER_IMAGE=example.com/shop:1")
	bind := func(from, to string) any {
		return map[string]any{"destination": to, "type": "bind", "source": from, "options": []string{"bind", "rw", "nosuid", "nodev"}}
	}
	var mounts []any
	for _, mount := range config["mounts"].([]any) {
		switch mount.(map[string]any)["destination"] {
		case "/out", "/dev/mqueue": // the kernels for virtual machines have no queues
		default:
			mounts = append(mounts, mount)
		}
	}
	config["mounts"] = append(mounts, bind("/tmp/bundle/cores", "/cores"), bind("/tmp/bundle/tmp", "/tmp"), bind("/tmp/bundle/message", "/dev/termination-log"))
	if arch == "arm64" {
		config["linux"].(map[string]any)["seccomp"].(map[string]any)["architectures"] = []string{"SCMP_ARCH_AARCH64"}
	}
	if c.change != nil {
		c.change(config)
	}
	out, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
