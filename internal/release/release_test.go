//go:build linux && amd64

// Package release tests the artefacts of a release as those who install them use them.
package release

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/matrix"
)

const top = "../.."

// Paths below the folder of the artefacts.
const (
	prepared = "prepared" // by the command prepare
	programs = "linux/amd64"
	server   = "server" // a program that crashes
)

// built is the folder of the artefacts, "" = no test has needed them.
var built string

var artefacts = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "release")
	if err != nil {
		return "", err
	}
	built = dir
	for _, args := range [][]string{
		{"run", "./internal/release/prepare", filepath.Join(dir, prepared)},
		{"build", "-trimpath", "-ldflags=-s -w -buildid= -X github.com/meminspect/meminspect/internal/version.Released=1.2.3", "-o", filepath.Join(dir, programs) + "/", "./cmd/meminspect", "./cmd/meminspect-vet"},
		{"build", "-o", filepath.Join(dir, server), "./internal/acceptance/testdata/crasher"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = top, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %v: %w: %s", args, err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(status)
}

func artefact(t *testing.T, name string) string {
	t.Helper()
	dir, err := artefacts()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// needRoot skips a test that the superuser alone can run. CI promises the superuser: the
// test fails there.
func needRoot(t *testing.T, what string) {
	t.Helper()
	switch {
	case os.Getuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatalf("%s: not the superuser, whom CI promises", what)
	default:
		t.Skipf("%s: needs the superuser", what)
	}
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// NOTICES has the license of each module that a program contains, on each system of the
// release, of Go, and of each npm package that the page contains.
func TestNotices(t *testing.T) {
	text, err := os.ReadFile(artefact(t, prepared+"/NOTICES"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, version, whose string) {
		t.Helper()
		if !strings.Contains(string(text), "\n"+name+" "+version+": ") {
			t.Errorf("NOTICES lacks %s %s, which %s contains", name, version, whose)
		}
	}
	for _, program := range []string{"meminspect", "meminspect-vet"} {
		info, err := buildinfo.ReadFile(artefact(t, programs+"/"+program))
		if err != nil {
			t.Fatal(err)
		}
		check("Go", info.GoVersion, program)
	}
	modules := map[string]bool{}
	systems := releaseSystems(t)
	for _, system := range systems {
		goos, goarch, _ := strings.Cut(system, "/")
		cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", "./cmd/meminspect", "./cmd/meminspect-vet")
		cmd.Dir, cmd.Env = top, append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if name, version, _ := strings.Cut(strings.TrimSpace(line), " "); name != "" && !modules[name] {
				modules[name] = true
				check(name, version, system)
			}
		}
	}
	if len(modules) < 10 || len(systems) != 6 {
		t.Errorf("%d modules of %v", len(modules), systems)
	}
	const page = top + "/internal/inspect/page/web/"
	for _, name := range []string{"preact", "@dagrejs/dagre", "@dagrejs/graphlib", "@tanstack/virtual-core", "d3-hierarchy"} { // dagre contains graphlib
		var p struct{ Version string }
		unmarshalFile(t, page+"node_modules/"+name+"/package.json", &p)
		check(name, p.Version, "the page")
	}
	var p struct{ Dependencies map[string]string }
	unmarshalFile(t, page+"package.json", &p)
	for name, version := range p.Dependencies {
		check(name, version, "the page")
	}
}

func unmarshalFile(t *testing.T, path string, to any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// releaseSystems returns the systems of the programs in .goreleaser.yaml.
func releaseSystems(t *testing.T) (systems []string) {
	t.Helper()
	text, err := os.ReadFile(top + "/.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var release struct {
		Builds []struct{ Goos, Goarch []string }
	}
	if err := yaml.Unmarshal(text, &release); err != nil || len(release.Builds) == 0 {
		t.Fatalf("%v: %+v", err, release)
	}
	for _, goos := range release.Builds[0].Goos {
		for _, goarch := range release.Builds[0].Goarch {
			systems = append(systems, goos+"/"+goarch)
		}
	}
	return systems
}

// A program contains no path of the machine that built it, or two machines would build
// different ones.
func TestNoPaths(t *testing.T) {
	checkout, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"meminspect", "meminspect-vet"} {
		text, err := os.ReadFile(artefact(t, programs+"/"+program))
		if err != nil {
			t.Fatal(err)
		}
		for _, variable := range []string{"GOMODCACHE", "GOCACHE"} {
			if path := strings.TrimSpace(command(t, "go", "env", variable)); bytes.Contains(text, []byte(path)) {
				t.Errorf("%s contains %s, %s", program, path, variable)
			}
		}
		if bytes.Contains(text, []byte(checkout+"/")) {
			t.Errorf("%s contains the path of the checkout, %s", program, checkout)
		}
	}
}

// packages makes the packages of .goreleaser.yaml, and returns them by format.
func packages(t *testing.T) map[string]string {
	t.Helper()
	tool, err := filepath.Abs(debuggers.Need(t, "packages"))
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	links := map[string]string{"packaging/out": artefact(t, prepared), "CHANGELOG.md": mustAbs(t, top+"/CHANGELOG.md"), "LICENSE": mustAbs(t, top+"/LICENSE")}
	err = fs.WalkDir(os.DirFS(top), "examples/deploy", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() { // a pattern does not lead into a linked folder
			links[path] = mustAbs(t, filepath.Join(top, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for link, target := range links {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(work, link)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(work, link)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(tool, mustAbs(t, top+"/.goreleaser.yaml"), artefact(t, programs), "1.2.3", "amd64", work)
	cmd.Dir, cmd.Env = work, append(os.Environ(), "SOURCE_DATE_EPOCH=1780000000")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	byFormat := map[string]string{}
	for _, path := range strings.Fields(string(out)) {
		byFormat[strings.TrimPrefix(filepath.Ext(path), ".")] = path
	}
	return byFormat
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// installed are files of each package.
var installed = []string{
	"/usr/bin/meminspect", "/usr/bin/meminspect-vet", "/usr/share/man/man1/meminspect-run.1", "/usr/share/doc/meminspect/NOTICES", "/usr/share/doc/meminspect/LICENSE", "/usr/share/doc/meminspect/copyright",
	"/usr/share/doc/meminspect/examples/deploy/pod.yaml",
	"/usr/share/bash-completion/completions/meminspect", "/usr/share/zsh/vendor-completions/_meminspect", "/usr/share/fish/vendor_completions.d/meminspect.fish",
}

// Each package contains the programs, manual pages, completions and licenses, and is
// the same when it is made again.
func TestPackages(t *testing.T) {
	first := packages(t)
	later := time.Now().Add(time.Hour) // another machine prepares the files at another time
	err := filepath.WalkDir(artefact(t, prepared), func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(path, later, later))
	})
	if err != nil {
		t.Fatal(err)
	}
	second := packages(t)
	for _, format := range []string{"deb", "rpm", "apk"} {
		a, err := os.ReadFile(first[format])
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(second[format])
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: two packages differ: %v", format, err)
		}
	}
	for format, list := range map[string]string{
		"deb": command(t, "dpkg-deb", "--fsys-tarfile", first["deb"]),
		"rpm": command(t, debuggers.Need(t, "rpm"), "-qlp", first["rpm"]),
		"apk": command(t, "tar", "tzf", first["apk"]),
	} {
		for _, file := range installed {
			if !strings.Contains(list, strings.TrimPrefix(file, "/")) {
				t.Errorf("%s lacks %s", format, file)
			}
		}
	}
	control := command(t, "dpkg-deb", "--field", first["deb"])
	for _, want := range []string{"Package: meminspect", "Version: 1.2.3", "Architecture: amd64", "Description: Small cores of Go programs"} {
		if !strings.Contains(control, want+"\n") {
			t.Errorf("control lacks %q:\n%s", want, control)
		}
	}
}

// The package is installed in an empty root, and the program runs there without any
// other file.
func TestInstall(t *testing.T) {
	needRoot(t, "dpkg --root and chroot")
	deb := packages(t)["deb"]
	root := t.TempDir()
	for _, dir := range []string{"info", "updates", "triggers"} {
		if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "dpkg", "--root="+root, "--install", deb)
	for _, file := range installed {
		if info, err := os.Stat(root + file); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
	if out := command(t, "chroot", root, "/usr/bin/meminspect", "version"); !strings.HasPrefix(out, "meminspect version v1.2.3 go") {
		t.Errorf("version: %q", out)
	}
	reportFrom(t, root, "/usr/bin/meminspect", "10001:10001")
	command(t, "dpkg", "--root="+root, "--purge", "meminspect")
	for _, file := range installed {
		if _, err := os.Lstat(root + file); err == nil {
			t.Errorf("%s stays after a purge", file)
		}
	}
}

// The image has the program alone and an unprivileged user, for both architectures, and
// runs in a container without privileges.
func TestImage(t *testing.T) {
	needRoot(t, "buildah with the driver vfs")
	buildah := debuggers.Need(t, "buildah")
	storage := t.TempDir()
	run := func(t *testing.T, args ...string) string {
		t.Helper()
		return command(t, buildah, append([]string{"--storage-driver", "vfs", "--root", storage + "/root", "--runroot", storage + "/run"}, args...)...)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			build := t.TempDir()
			copyFile(t, filepath.Join(top, "LICENSE"), filepath.Join(build, "LICENSE"))
			copyFile(t, artefact(t, prepared+"/NOTICES"), filepath.Join(build, "packaging/out/NOTICES"))
			program := artefact(t, programs+"/meminspect")
			if arch != "amd64" {
				program = artefact(t, prepared+"/copyright") // the layout is tested, not the program
			}
			copyFile(t, program, filepath.Join(build, "linux", arch, "meminspect"))
			run(t, "build", "--isolation", "chroot", "--platform", "linux/"+arch, "--build-arg", "TARGETPLATFORM=linux/"+arch, "--file", top+"/packaging/Dockerfile", "--tag", "test-"+arch, build)
			var image struct {
				OCIv1 struct {
					Architecture string `json:"architecture"`
					Config       struct {
						User       string
						Entrypoint []string
					} `json:"config"`
				}
			}
			if err := json.Unmarshal([]byte(run(t, "inspect", "--type", "image", "test-"+arch)), &image); err != nil {
				t.Fatal(err)
			}
			if c := image.OCIv1.Config; image.OCIv1.Architecture != arch || c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/meminspect"}) {
				t.Errorf("%+v", image)
			}
			container := strings.TrimSpace(run(t, "from", "--pull-never", "--platform", "linux/"+arch, "test-"+arch))
			root := strings.TrimSpace(run(t, "mount", container))
			entries, err := os.ReadDir(root)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if !slices.Equal(names, []string{"LICENSE", "NOTICES", "meminspect"}) {
				t.Errorf("files: %v", names)
			}
			if arch == "amd64" {
				reportFrom(t, root, "/meminspect", image.OCIv1.Config.User)
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// reportFrom runs a crashing program under the installed one, in a container without
// privileges, and reads the core in another container: no Go toolchain, no other file.
func reportFrom(t *testing.T, root, tool, user string) {
	t.Helper()
	runc := debuggers.Need(t, "runc")
	copyFile(t, artefact(t, server), filepath.Join(root, "server"))
	cores := filepath.Join(t.TempDir(), "cores")
	var uid, gid int
	if _, err := fmt.Sscanf(user, "%d:%d", &uid, &gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(cores, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(cores, uid, gid); err != nil {
		t.Fatal(err)
	}
	contain := func(status int, args ...string) string {
		t.Helper()
		bundle := t.TempDir()
		config, err := json.Marshal(container(root, cores, uid, gid, args))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(runc, "--root", filepath.Join(bundle, "state"), "run", "--bundle", bundle, fmt.Sprintf("release-%d-%s", os.Getpid(), filepath.Base(bundle)))
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != status {
			t.Fatalf("%v: exit status %d, want %d: %s", args, got, status, out)
		}
		return string(out)
	}
	contain(2, tool, "run", "--dir", "/cores", "--quiet", "--", "/server", "panic")
	report := contain(0, tool, "report", "--dir", "/cores", "@1")
	for _, want := range []string{"server panicked: it went wrong", "goroutine 1 ended the program", "main.init.func1"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q: %s", want, report)
		}
	}
}

// An ephemeral container, as kubectl debug starts it, captures a program of another
// container of the pod: it shares the PID namespace. It needs the user of the program,
// or SYS_PTRACE.
func TestEphemeralContainer(t *testing.T) {
	needRoot(t, "runc")
	runc := debuggers.Need(t, "runc")
	state := t.TempDir()
	start := func(id string, config map[string]any) *exec.Cmd {
		bundle := t.TempDir()
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		id = fmt.Sprintf("%s-%d", id, os.Getpid())
		remove := func() { _ = exec.Command(runc, "--root", state, "delete", "--force", id).Run() } // it may have ended
		remove()
		cmd := exec.Command(runc, "--root", state, "run", "--bundle", bundle, id)
		t.Cleanup(remove)
		return cmd
	}
	roots := map[string]string{"server": t.TempDir(), "meminspect": t.TempDir()}
	copyFile(t, artefact(t, server), filepath.Join(roots["server"], "server"))
	copyFile(t, artefact(t, programs+"/meminspect"), filepath.Join(roots["meminspect"], "meminspect"))
	out := t.TempDir()
	target := start("target", container(roots["server"], out, 10001, 10001, []string{"/server", "wait"}))
	ready, err := target.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		target.Process.Kill()
		target.Wait()
	}()
	if line, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	var info struct{ Pid int }
	if err := json.Unmarshal([]byte(command(t, runc, "--root", state, "state", fmt.Sprintf("target-%d", os.Getpid()))), &info); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		user int
		caps []string
	}{"the program's user": {10001, []string{}}, "root with SYS_PTRACE": {0, []string{"CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE"}}} { // runtimes give root the former
		t.Run(name, func(t *testing.T) {
			config := container(roots["meminspect"], out, c.user, c.user, []string{"/meminspect", "capture", "1", "-q", "-o", "-"})
			config["process"].(map[string]any)["capabilities"] = map[string]any{"bounding": c.caps, "effective": c.caps, "permitted": c.caps}
			linux := config["linux"].(map[string]any)
			linux["namespaces"] = append(linux["namespaces"].([]map[string]any)[1:], map[string]any{"type": "pid", "path": fmt.Sprintf("/proc/%d/ns/pid", info.Pid)})
			debug := start("debug", config)
			var stderr strings.Builder
			debug.Stderr = &stderr
			core, err := debug.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, stderr.String())
			}
			path := filepath.Join(out, "shop.core")
			if err := os.WriteFile(path, core, 0o600); err != nil {
				t.Fatal(err)
			}
			if text := command(t, artefact(t, programs+"/meminspect"), "print", path, "main.customer"); !strings.Contains(text, `"Ada Lovelace"`) {
				t.Errorf("print: %s", text)
			}
		})
	}
}

// container returns the configuration of a container as the restricted security
// standard of Kubernetes wants it.
func container(root, cores string, uid, gid int, args []string) map[string]any {
	type m = map[string]any
	return m{
		"ociVersion": "1.0.2",
		"process": m{
			"user": m{"uid": uid, "gid": gid}, "args": args, "cwd": "/", "env": []string{"PATH=/"}, "noNewPrivileges": true,
			"capabilities": m{"bounding": []string{}, "effective": []string{}, "permitted": []string{}},
		},
		"root":     m{"path": root, "readonly": true},
		"hostname": "release",
		"mounts": []m{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/cores", "type": "bind", "source": cores, "options": []string{"bind", "rw", "nosuid", "nodev"}},
		},
		"linux": m{
			"namespaces":  []m{{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"}},
			"maskedPaths": []string{"/proc/kcore", "/proc/keys"}, "readonlyPaths": []string{"/proc/sys"},
		},
	}
}

// GoReleaser makes all artefacts of both builds alike.
func TestSnapshot(t *testing.T) {
	if !matrix.Whole() {
		t.Skip("builds everything twice: MEMINSPECT_FULL=1")
	}
	goreleaser := debuggers.Need(t, "goreleaser")
	debuggers.Need(t, "cyclonedx-gomod")
	sums, source := make([]string, 2), mustAbs(t, top)
	for i := range sums {
		clone := filepath.Join(t.TempDir(), fmt.Sprint("clone", i))
		command(t, "git", "clone", "-q", source, clone)
		source = clone                                                                                            // the tree may get a new commit in between
		command(t, "git", "-C", clone, "remote", "set-url", "origin", "https://github.com/meminspect/meminspect") // it asks for the owner
		cmd := exec.Command(goreleaser, "release", "--snapshot", "--clean", "--parallelism=1", "--skip=publish,sign,docker")
		cmd.Dir = clone
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		text, err := os.ReadFile(filepath.Join(clone, "dist/SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = string(text)
	}
	if sums[0] != sums[1] {
		t.Errorf("two releases of one commit differ:\n%s\n%s", sums[0], sums[1])
	}
	for _, want := range []string{"_linux_amd64.deb", "_linux_arm64.rpm", "_linux_arm64.apk", "_darwin_arm64.tar.gz", "_windows_amd64.zip", ".cdx.json"} {
		if !strings.Contains(sums[0], want+"\n") {
			t.Errorf("no artefact ends in %s:\n%s", want, sums[0])
		}
	}
}
