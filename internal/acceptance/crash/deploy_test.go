//go:build linux

package crash

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/debuggers"
)

const deployments = "../../../examples/deploy/"

// shownFlags finds the flags of a run line in an example and checks that the
// command knows each.
func shownFlags(t *testing.T, text string) {
	t.Helper()
	help, err := exec.Command(tool(t), "run", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^.*\brun\b.*--.*$`).FindString(text)
	if line == "" {
		t.Fatalf("it runs nothing:\n%s", text)
	}
	before, _, _ := strings.Cut(line, `"--"`)
	before, _, _ = strings.Cut(before, " -- ")
	for _, flag := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(before, -1) {
		if !bytes.Contains(help, []byte(flag+" ")) {
			t.Errorf("run has no flag %s", flag)
		}
	}
}

func example(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(deployments + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The unit is one that systemd accepts.
func TestSystemdUnit(t *testing.T) {
	text := example(t, "shop.service")
	shownFlags(t, text)
	analyze := debuggers.Need(t, "systemd-analyze")
	dir := t.TempDir()
	// The programs that it names are not installed here.
	text = strings.NewReplacer("/usr/bin/meminspect", tool(t), "/usr/bin/shop", "/bin/true").Replace(text)
	unit := filepath.Join(dir, "shop.service")
	if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || bytes.Contains(out, []byte("shop.service")) {
		t.Errorf("%v: %s", err, out)
	}
}

// The pod asks for no rights, and its command line is one that works.
func TestPod(t *testing.T) {
	text := example(t, "pod.yaml")
	shownFlags(t, text)
	for _, forbidden := range []string{"privileged: true", "SYS_PTRACE", "hostPath", "hostPID", "add:"} {
		if strings.Contains(text, forbidden) {
			t.Errorf("it has %s", forbidden)
		}
	}
	for _, needed := range []string{`drop: ["ALL"]`, "allowPrivilegeEscalation: false", "runAsNonRoot: true", "/dev/termination-log", "type: RuntimeDefault"} {
		if !strings.Contains(text, needed) {
			t.Errorf("it lacks %s", needed)
		}
	}
	// Its flags, as its user, without any capability, as process 1.
	if os.Getuid() != 0 {
		t.Skip("becoming the pod's user in a pid namespace needs root")
	}
	message := filepath.Join(t.TempDir(), "termination-log")
	os.WriteFile(message, nil, 0o666)
	os.Chmod(message, 0o666)
	os.Chmod(filepath.Dir(message), 0o777)
	os.Chmod(filepath.Dir(filepath.Dir(message)), 0o777)
	pod := surrounding{wrap: []string{"unshare", "--pid", "--fork", "--mount-proc",
		"setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--"}}
	program := crasher.Build(t, crasher.Plain)
	for _, way := range []string{"panic", "sigkill"} {
		r := supervise(t, pod, program, []string{"--message", message, "--snapshot", "5s", "--snapshot-file"}, way)
		if len(r.cores(t)) != 1 {
			t.Errorf("%s: %+v, %s", way, r.events, r.stderr.String())
		}
		text, err := os.ReadFile(message)
		if err != nil || len(text) > 4096 || !strings.Contains(string(text), "Ada Lovelace") || strings.Contains(string(text), "hunter2") {
			t.Errorf("%s: the termination message is %q, %v", way, text, err)
		}
	}
}

// The entrypoint passes the command, its signals' worth and its status on.
func TestEntrypoint(t *testing.T) {
	shownFlags(t, example(t, "entrypoint.sh"))
	cores := t.TempDir()
	cmd := exec.Command(deployments+"entrypoint.sh", crasher.Build(t, crasher.Plain), "exit3")
	cmd.Env = append(os.Environ(), "CORES="+cores, "PATH="+filepath.Dir(tool(t))+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("%v: %s", err, out)
	}
	if found, _ := filepath.Glob(cores + "/*.exit-3.core"); len(found) != 1 {
		t.Errorf("cores %v: %s", found, out)
	}
}

// A container that is killed whole leaves its last snapshot to the next.
func TestKilledWhole(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a pid namespace needs root")
	}
	program := crasher.Build(t, crasher.Plain)
	dir := t.TempDir()
	inside := surrounding{wrap: []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}}
	r := start(t, inside, nil, program, []string{"--dir", dir, "--snapshot", "50ms", "--snapshot-file"}, "wait")
	r.event(t, "started")
	waitOutput(t, r, "ready")
	waitFiles(t, dir+"/.snapshots-*")
	r.cmd.Process.Kill()
	<-r.end
	if found, _ := filepath.Glob(dir + "/*.core"); len(found) != 0 {
		t.Fatalf("cores of a container that was killed: %v", found)
	}
	supervise(t, plainly, program, []string{"--dir", dir}, "exit0")
	found, _ := filepath.Glob(dir + "/*.lost.core")
	if len(found) != 1 {
		t.Fatalf("published %v", found)
	}
	checkValues(t, program, crasher.Plain, found[0])
	if left, _ := filepath.Glob(dir + "/.snapshots-*"); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}
