//go:build linux

package vm

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/meminspect/meminspect/internal/matrix"
)

// A container is a bundle of the runtimes': an empty root with two static programs,
// read-only, the user 10001 without capabilities, the default seccomp profile of container
// runtimes, limits of memory and of processes, and the program is process 1.
type container struct {
	name string
	args []string
	env  []string
	// change changes the configuration.
	change func(map[string]any)
	// script runs the container, instead of "contained" until it has left a core.
	script string
	want   []string // ends of the core's name, of which it has one; nil = no core
	status string   // of the runtime
	// message is in the termination message, log in what the container printed.
	message, log string
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

// noPtrace changes a seccomp profile to that of container runtimes before Linux 4.8.
func noPtrace(c map[string]any) {
	seccomp := c["linux"].(map[string]any)["seccomp"].(map[string]any)
	seccomp["syscalls"] = append([]any{map[string]any{"names": []string{"ptrace", "process_vm_readv"}, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}}, without(seccomp["syscalls"].([]any), "ptrace", "process_vm_readv")...)
}

const summary = `customer = "Ada Lovelace"` // in a termination message

// The command lines of the pod's example run in containers of two runtimes. The kernel's
// handler of cores, of the host, captures a program of a container without them.
func TestContainers(t *testing.T) {
	const notPermitted = "captured: fatal errors; not captured: kills and failing exits (exit stop: not permitted; a seccomp filter"
	const handled = handlers + `
meminspect core-handler install --dir /tmp/bundle/cores --before /tmp/before >/dev/null
contained || true
wait_for 60 '[ -z "$(handler_pid)" ]'
meminspect core-handler uninstall --before /tmp/before >/dev/null
`
	containers := []container{
		{name: "panic", args: podLine(t, "panic"), want: []string{".panic.core"}, status: "2", message: summary, log: "captured: fatal errors, kills and failing exits"},
		{name: "sigkill", args: podLine(t, "sigkill"), want: []string{".signal-sigkill.core"}, status: "137", message: summary},
		{name: "exit", args: podLine(t, "exit0"), status: "0"},
		{name: "memory limit", args: podLine(t, "grow"), want: []string{".memory.core", ".oom-kill.core"}, status: "137", message: summary},
		{name: "no ptrace", args: podLine(t, "panic"), change: noPtrace, want: []string{".panic.core"}, status: "2", message: summary, log: notPermitted},
		// There is no exit stop, only the last snapshot.
		{name: "no ptrace, sigkill", args: podLine(t, "wait"), change: noPtrace, want: []string{".signal-sigkill.core"}, status: "137", message: summary, log: notPermitted, script: `
contained & container=$!
wait_for 60 grep -q "are.kept" /tmp/log
pid=$(grep -lx crasher /proc/[0-9]*/comm | cut -d/ -f3)
# No snapshot begins of a stopped program; one that has begun is not overtaken by the end.
kill -STOP $pid
sleep 8
kill -KILL $pid
s=0; wait $container || s=$?
`},
		{name: "no ptrace, capture", args: podLine(t, "wait"), change: noPtrace, want: []string{"/live.core"}, status: "137", log: notPermitted, script: `
echo 0 >/proc/sys/kernel/yama/ptrace_scope
contained & container=$!
wait_for 60 grep -q ready /tmp/log
$runtime exec --user 10001:10001 test /meminspect capture -o /cores/live.core $(grep -o 'ready [0-9]*' /tmp/log | cut -d' ' -f2) 2>&1 || true
$runtime kill test KILL
s=0; wait $container || s=$?
`},
		{name: "no seccomp", args: podLine(t, "panic"), want: []string{".panic.core"}, status: "2", message: summary, change: func(c map[string]any) {
			delete(c["linux"].(map[string]any), "seccomp")
		}},
		{name: "few processes", args: podLine(t, "panic"), want: []string{".panic.core"}, status: "2", message: summary, change: func(c map[string]any) {
			c["linux"].(map[string]any)["resources"].(map[string]any)["pids"] = map[string]any{"limit": 32}
		}},
		{name: "core-handler", args: []string{"/crasher", "child"}, env: []string{"GOTRACEBACK=crash"}, want: []string{".signal-sigabrt.core"}, status: "2", script: handled},
		// The kernel ignores a SIGABRT that process 1 sends itself: the Go runtime exits.
		{name: "core-handler, process 1", args: []string{"/crasher", "panic"}, env: []string{"GOTRACEBACK=crash"}, status: "2", script: handled},
	}
	onEach(t, func(t *testing.T, m *machine) {
		for _, runtime := range []string{"runc", "crun"} {
			for i, c := range containers {
				if !matrix.Whole() && (i != 0 || runtime != "runc" || m.kernel.Arch != "amd64") {
					continue
				}
				t.Run(runtime+" "+c.name, func(t *testing.T) { checkContainer(t, m, runtime, c) })
			}
		}
	})
}

func checkContainer(t *testing.T, m *machine, runtime string, c container) {
	t.Helper()
	script := c.script
	if script == "" {
		script = "contained || true"
	}
	if script == "contained || true" && c.want != nil {
		script = "until_core " + c.args[len(c.args)-1] + " contained"
	}
	out := m.run(t, `
rm -rf /tmp/bundle && mkdir -p /tmp/bundle/rootfs/dev /tmp/bundle/rootfs/proc /tmp/bundle/rootfs/sys /tmp/bundle/rootfs/cores /tmp/bundle/rootfs/tmp /tmp/bundle/cores /tmp/bundle/tmp
cp /programs/meminspect /tmp/bundle/rootfs/meminspect
cp /programs/crasher-plain /tmp/bundle/rootfs/crasher
chown 10001:10001 /tmp/bundle/cores /tmp/bundle/tmp
install -m 0666 /dev/null /tmp/bundle/message
cat >/tmp/bundle/config.json <<'END'
`+configuration(t, m.kernel.Arch, c)+`
END
runtime=`+runtime+`
attempt=1
contained() { s=0; $runtime run --bundle /tmp/bundle test >/tmp/log 2>&1 </dev/null || s=$?; return $s; }
cores=/tmp/bundle/cores
`+script+`
echo "status $s, attempt $attempt"
for core in /tmp/bundle/cores/*.core; do
	[ -e $core ] || continue
	echo "core $core"
	meminspect print $core counter customer
done
echo "--- message"
cat /tmp/bundle/message
echo "--- log"
cat /tmp/log
`)
	result, rest, _ := strings.Cut(out, "--- message\n")
	message, log, _ := strings.Cut(rest, "--- log\n")
	if !strings.Contains(result, "status "+c.status+", ") {
		t.Errorf("want status %s", c.status)
	}
	cores := regexp.MustCompile(`(?m)^core (.*)\n`).FindAllStringSubmatch(result, -1)
	for _, core := range cores {
		if !slices.ContainsFunc(c.want, func(end string) bool { return strings.HasSuffix(core[1], end) }) {
			t.Errorf("the core %s, want %q", core[1], c.want)
		}
	}
	if (len(cores) > 0) != (c.want != nil) || strings.Count(result, values) != len(cores) {
		t.Errorf("%d cores, %d with the values, want %q", len(cores), strings.Count(result, values), c.want)
	}
	if !strings.Contains(message, c.message) {
		t.Errorf("the termination message lacks %q", c.message)
	}
	if !strings.Contains(log, c.log) {
		t.Errorf("the log lacks %q", c.log)
	}
	if n := regexp.MustCompile(`, attempt (\d+)`).FindStringSubmatch(result); n != nil && n[1] != "1" {
		t.Logf("%s attempts", n[1])
	}
	if t.Failed() {
		t.Logf("it printed\n%s", out)
	}
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

// ociConfig returns the configuration of a container for an architecture.
func ociConfig(t *testing.T, arch string) map[string]any {
	t.Helper()
	text, err := os.ReadFile("testdata/oci-config.json")
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	if arch == "arm64" {
		config["linux"].(map[string]any)["seccomp"].(map[string]any)["architectures"] = []string{"SCMP_ARCH_AARCH64"}
	}
	return config
}

// configuration returns config.json of a bundle.
func configuration(t *testing.T, arch string, c container) string {
	t.Helper()
	config := ociConfig(t, arch)
	p := process(config)
	p["args"] = c.args
	p["env"] = append(p["env"].([]any), "POD_NAME=shop", "POD_NAMESPACE=prod", "NODE_NAME=node-3", "CONTAINER_IMAGE=example.com/shop:1")
	for _, kv := range c.env {
		p["env"] = append(p["env"].([]any), kv)
	}
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
	if c.change != nil {
		c.change(config)
	}
	out, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
