//go:build linux

package crash

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/meminspect/meminspect/internal/crasher"
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

// A pod has the used parts of a Kubernetes Pod, with the names and types of its
// API (v1.33, core/v1): a misspelt or misplaced name is an error, as in kubectl
// --validate=strict.
type pod struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		RestartPolicy   string `yaml:"restartPolicy"`
		SecurityContext struct {
			RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
			RunAsUser      int64                 `yaml:"runAsUser"`
			FSGroup        int64                 `yaml:"fsGroup"`
			SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		Containers []struct {
			Name, Image   string
			Command, Args []string
			Env           []struct {
				Name, Value string
				ValueFrom   struct {
					FieldRef struct {
						FieldPath string `yaml:"fieldPath"`
					} `yaml:"fieldRef"`
				} `yaml:"valueFrom"`
			}
			TerminationMessagePolicy string `yaml:"terminationMessagePolicy"`
			TerminationMessagePath   string `yaml:"terminationMessagePath"`
			SecurityContext          struct {
				AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
				ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
				Capabilities             struct{ Drop []string }
			} `yaml:"securityContext"`
			Resources    struct{ Limits, Requests map[string]string }
			VolumeMounts []struct {
				Name      string
				MountPath string `yaml:"mountPath"`
			} `yaml:"volumeMounts"`
		}
		Volumes []struct {
			Name     string
			EmptyDir *struct {
				SizeLimit string `yaml:"sizeLimit"`
			} `yaml:"emptyDir"`
		}
	}
}

func readPod(t *testing.T) *pod {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(example(t, "pod.yaml")))
	decoder.KnownFields(true)
	p := &pod{}
	if err := decoder.Decode(p); err != nil {
		t.Fatal(err)
	}
	if err := decoder.Decode(&pod{}); !errors.Is(err, io.EOF) {
		t.Errorf("it is not one document: %v", err)
	}
	return p
}

// The pod is one that Kubernetes takes, and asks for no rights.
func TestPod(t *testing.T) {
	shownFlags(t, example(t, "pod.yaml"))
	p := readPod(t)
	if p.APIVersion != "v1" || p.Kind != "Pod" || p.Metadata.Name == "" || len(p.Spec.Containers) != 1 {
		t.Fatalf("%+v", p)
	}
	c, security := p.Spec.Containers[0], p.Spec.SecurityContext
	if !security.RunAsNonRoot || security.RunAsUser == 0 || security.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("the pod's security context: %+v", security)
	}
	if own := c.SecurityContext; own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation || !own.ReadOnlyRootFilesystem || !slices.Equal(own.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("the container's security context: %+v", own)
	}
	volumes := map[string]bool{}
	for _, v := range p.Spec.Volumes {
		volumes[v.Name] = v.EmptyDir != nil
	}
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("the mount of %s is of no volume", m.Name)
		}
	}
}

// The pod's command line does what the page states, as the pod's user, without any
// capability, as process 1, on a root file system that is read-only but for its
// volumes: it leaves a core and a termination message that the kubelet takes.
func TestPodRuns(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("becoming the pod's user in a pid namespace needs root")
	}
	p := readPod(t)
	c, user := p.Spec.Containers[0], strconv.FormatInt(p.Spec.SecurityContext.RunAsUser, 10)
	program := crasher.Build(t, crasher.Plain)
	for _, way := range []string{"panic", "sigkill", "panic-long"} {
		base := t.TempDir()
		check(t, os.Chmod(filepath.Dir(base), 0o755))
		check(t, os.Chmod(base, 0o755))
		at := map[string]string{"/meminspect": tool(t), "/dev/termination-log": filepath.Join(base, "termination-log")}
		check(t, os.WriteFile(at["/dev/termination-log"], nil, 0o666))
		check(t, os.Chmod(at["/dev/termination-log"], 0o666)) // as the kubelet makes it
		for _, m := range c.VolumeMounts {
			at[m.MountPath] = filepath.Join(base, m.Name)
			check(t, os.Mkdir(at[m.MountPath], 0o777))
			check(t, os.Chmod(at[m.MountPath], 0o777)) // an emptyDir's mode
		}
		line := append(slices.Clone(c.Command), program, way)
		for i, word := range line {
			if path, ok := at[word]; ok {
				line[i] = path
			}
		}
		inside := `set -e
mount --bind "$BASE" "$BASE"
mount -o remount,bind,ro /
exec setpriv --reuid=$POD --regid=$POD --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"`
		cmd := exec.Command("unshare", append([]string{"--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", inside, "sh"}, line...)...)
		cmd.Env = append(os.Environ(), "BASE="+base, "POD="+user, "TMPDIR=/nowhere")
		for _, e := range c.Env { // as the kubelet sets it
			value := e.Value
			if field := e.ValueFrom.FieldRef.FieldPath; field != "" {
				value = map[string]string{"metadata.name": p.Metadata.Name, "metadata.namespace": "prod", "spec.nodeName": "node-3"}[field]
			}
			cmd.Env = append(cmd.Env, e.Name+"="+value)
		}
		out, _ := cmd.CombinedOutput()
		if want := map[bool]int{true: 137, false: 2}[way == "sigkill"]; cmd.ProcessState.ExitCode() != want {
			t.Errorf("%s: %v: %s", way, cmd.ProcessState, out)
		}
		cores, _ := filepath.Glob(at["/cores"] + "/*.core")
		if len(cores) != 1 {
			t.Fatalf("%s: cores %v: %s", way, cores, out)
		}
		info, err := command(t, "info", cores[0])
		for name, value := range map[string]string{"pod": p.Metadata.Name, "namespace": "prod", "node": "node-3", "image": c.Image} {
			if err != nil || !hasLine(string(info), name, value) {
				t.Errorf("%s: %v: no line %s with %s in\n%s", way, err, name, value, info)
			}
		}
		if way != "panic-long" {
			checkValues(t, program, crasher.Plain, cores[0])
		}
		const kubelet = 4096 // bytes that it reads
		text, err := os.ReadFile(at["/dev/termination-log"])
		if err != nil || len(text) > kubelet || !strings.Contains(string(text), "Ada Lovelace") || strings.Contains(string(text), "hunter2") {
			t.Errorf("%s: the termination message is %q, %v", way, text, err)
		}
		if way == "panic-long" && (len(text) < kubelet-8 || !utf8.Valid(text)) {
			t.Errorf("a long message was cut to %d bytes", len(text))
		}
	}
}

// The container of the how-to page, made of the lines of its Dockerfile, runs as their user,
// without a shell: it leaves a core in the directory that they make, and ends as the program.
func TestContainer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a container of another user needs root")
	}
	page, err := os.ReadFile("../../../docs/how-to/run-in-kubernetes.md")
	check(t, err)
	_, rest, _ := strings.Cut(string(page), "```dockerfile\n")
	lines, _, _ := strings.Cut(rest, "```")
	shownFlags(t, strings.ReplaceAll(lines, "[\"/meminspect\", ", "")) // one line with run
	c := buildContainer(t, lines)
	for _, own := range [][]string{nil, {"/shop", "panic"}} { // CMD, and the arguments of docker run
		line := append(slices.Clone(c.entrypoint), own...)
		if own == nil {
			line = append(append(line, c.cmd...), "exit3")
		}
		out, status := c.run(t, line)
		want, name := 3, "*.exit-3.core"
		if own != nil {
			want, name = 2, "*.panic.core"
		}
		if found, _ := filepath.Glob(c.root + "/cores/" + name); len(found) != 1 || status != want {
			t.Errorf("%q: status %d, cores %v: %s", line, status, found, out)
		}
		if strings.Contains(out, "for now") {
			t.Errorf("%q: no core can be stored: %s", line, out)
		}
	}
}

// The entrypoint for images with a shell does the same in that container, with the command and
// the directory of its caller.
func TestEntrypoint(t *testing.T) {
	shownFlags(t, example(t, "entrypoint.sh"))
	if os.Getuid() != 0 {
		t.Skip("a container of another user needs root")
	}
	c := buildContainer(t, `
FROM scratch
COPY --from=build /shop /shop
COPY --from=build --chown=10001:10001 /cores /cores
COPY --from=ghcr.io/meminspect/meminspect /meminspect /meminspect
USER 10001:10001
`)
	script := filepath.Join(c.root, "entrypoint.sh")
	check(t, os.WriteFile(script, []byte(example(t, "entrypoint.sh")), 0o755))
	c.shell = true
	for _, cores := range []string{"/cores", "/cores/own"} {
		out, status := c.run(t, []string{"/entrypoint.sh", "/shop", "exit3"}, "CORES="+cores)
		if found, _ := filepath.Glob(c.root + cores + "/*.exit-3.core"); len(found) != 1 || status != 3 {
			t.Errorf("%s: status %d, cores %v: %s", cores, status, found, out)
		}
	}
}

// A container is a root file system with the settings of its image.
type container struct {
	root            string
	user            string // UID:GID
	entrypoint, cmd []string
	shell           bool // the host's shell is in it
}

// buildContainer makes a container of the last stage of a Dockerfile. The stages and images
// that it copies from have the crasher as /shop, the directory /cores if a line makes it, and
// the program /meminspect.
func buildContainer(t *testing.T, dockerfile string) *container {
	t.Helper()
	c := &container{root: t.TempDir()}
	check(t, os.Chmod(filepath.Dir(c.root), 0o755))
	check(t, os.Chmod(c.root, 0o755))
	for line := range strings.Lines(dockerfile) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		var err error
		switch words[0] {
		case "FROM":
			check(t, os.RemoveAll(c.root))
			check(t, os.Mkdir(c.root, 0o755))
			c.user = ""
		case "COPY":
			c.copy(t, words[1:])
		case "USER":
			c.user = words[1]
		case "ENTRYPOINT":
			err = json.Unmarshal([]byte(strings.TrimPrefix(line, "ENTRYPOINT ")), &c.entrypoint)
		case "CMD":
			err = json.Unmarshal([]byte(strings.TrimPrefix(line, "CMD ")), &c.cmd)
		case "RUN", "WORKDIR": // of the first stage
		default:
			t.Fatalf("the line %q is not known here", line)
		}
		check(t, err)
	}
	if user, _, _ := strings.Cut(c.user, ":"); user == "" || user == "0" {
		t.Fatalf("the container runs as root:\n%s", dockerfile)
	}
	return c
}

func (c *container) copy(t *testing.T, words []string) {
	t.Helper()
	owner, from := "0:0", ""
	for strings.HasPrefix(words[0], "--") {
		name, value, _ := strings.Cut(words[0], "=")
		switch name {
		case "--from":
			from = value
		case "--chown":
			owner = value
		}
		words = words[1:]
	}
	if from == "" {
		return // the source of the first stage
	}
	to := filepath.Join(c.root, words[1])
	source := map[string]string{"/shop": crasher.Build(t, crasher.Plain), "/meminspect": tool(t)}[words[0]]
	var out []byte
	var err error
	if words[0] == "/cores" {
		err = os.Mkdir(to, 0o755)
	} else {
		out, err = exec.Command("install", "-m", "755", source, to).CombinedOutput()
	}
	if err != nil {
		t.Fatalf("%v: %v: %s", words, err, out)
	}
	if out, err := exec.Command("chown", owner, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// run runs a command as process 1 of the container, with the container's user and without any
// capability, and returns its output and status.
func (c *container) run(t *testing.T, line []string, env ...string) (output string, status int) {
	t.Helper()
	uid, gid, _ := strings.Cut(c.user, ":")
	// The container has no shell: the host's prepares it. The command has no capability because
	// chroot changes the user.
	const script = `set -e
cd "$ROOT"
mkdir -p proc dev
mount -t proc proc proc
mount --rbind /dev dev
for dir in $SHELL_DIRS; do
	if [ -L /$dir ]; then ln -sfn "$(readlink /$dir)" $dir; else mkdir -p $dir; mount --rbind /$dir $dir; fi
done
exec setpriv --no-new-privs --inh-caps=-all -- chroot --userspec="$ID:$GROUP" --groups= . "$@"`
	cmd := exec.Command("unshare", append([]string{"--mount", "--pid", "--fork", "sh", "-c", script, "sh"}, line...)...)
	shells := ""
	if c.shell {
		shells = "bin lib lib64 usr"
	}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "ROOT=" + c.root, "SHELL_DIRS=" + shells, "ID=" + uid, "GROUP=" + gid}, env...)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// A container that is killed whole leaves its last snapshot to the next.
func TestKilledWhole(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a pid namespace needs root")
	}
	program := crasher.Build(t, crasher.Plain)
	dir := t.TempDir()
	inside := surrounding{wrap: []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}}
	killed := func() {
		r, _ := startKept(t, inside, program, []string{"--dir", dir, "--snapshot-file"}, "wait")
		r.cmd.Process.Kill()
		<-r.end
	}
	killed()
	if found, _ := filepath.Glob(dir + "/*.core"); len(found) != 0 {
		t.Fatalf("cores of a container that was killed: %v", found)
	}
	supervise(t, plainly, program, []string{"--dir", dir}, "exit0")
	found, _ := filepath.Glob(dir + "/*.lost.core")
	if len(found) != 1 {
		t.Fatalf("published %v", found)
	}
	checkValues(t, program, crasher.Plain, found[0])
	// One that is killed at every start is kept within the limits.
	killed()
	r := supervise(t, plainly, program, []string{"--dir", dir, "--limit=1/1h"}, "exit0")
	if found, _ = filepath.Glob(dir + "/*.lost.core"); len(found) != 1 || !r.has("refused") {
		t.Errorf("published %v: %+v", found, r.events)
	}
	if left, _ := filepath.Glob(dir + "/.snapshots-*"); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}
