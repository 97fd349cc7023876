//go:build linux && amd64

package baseline

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/matrix"
)

// A program is one of those whose full cores are filtered. It is built from the
// source of the baseline.
type program struct {
	name   string
	source string // folder in the baseline's tree; empty for a random one
	seed   int    // of a random one
	env    string
	flags  []string
}

var (
	classic = "GOTOOLCHAIN=go1.24.9 GOEXPERIMENT=noswissmap"
	// builds are taken in turn for random programs.
	builds = []program{
		{}, {env: classic}, {flags: []string{"-buildmode=pie", "-ldflags=-s"}}, {flags: []string{"-gcflags=all=-N -l"}}, {env: "GOTOOLCHAIN=go1.27.3"}, {flags: []string{"-race"}},
	}
)

// programs returns a sample, or all with MEMINSPECT_FULL.
func programs() []program {
	const kinds = "internal/kinds/testdata/program"
	list := []program{
		{name: "kinds", source: kinds, flags: []string{"-tags=tabled"}},
		{name: "kinds-classic-maps", source: kinds, flags: []string{"-tags=tabled"}, env: classic},
		{name: "secrets", source: "internal/acceptance/testdata/secrets"},
		{name: "states", source: "internal/acceptance/testdata/states"},
	}
	n := 3
	if matrix.Whole() {
		n = 50
		list = append(list,
			program{name: "secrets-pie", source: "internal/acceptance/testdata/secrets", flags: []string{"-buildmode=pie"}},
			program{name: "states-cgo", source: "internal/acceptance/testdata/states", flags: []string{"-tags=withcgo"}, env: "CGO_ENABLED=1"})
	}
	for seed := range n {
		p := builds[seed%len(builds)]
		p.name, p.seed = fmt.Sprintf("random-%d", seed+1), seed+1
		p.flags = append([]string{"-tags=tabled"}, p.flags...)
		list = append(list, p)
	}
	return list
}

// A base is the baseline, built. What is made of it stays in the user's cache, since
// it never changes.
type base struct {
	dir     string // of the cache
	source  string // the tree of the baseline
	tool    string // its meminspect
	sources string // writes the source of a random program: SEED FOLDER
}

// sourcesMain is compiled in the baseline's tree.
const sourcesMain = `package main

import (
	"log"
	"os"
	"strconv"

	"github.com/meminspect/meminspect/internal/kinds/random"
)

func main() {
	seed, err := strconv.ParseUint(os.Args[1], 10, 64)
	if err == nil {
		err = random.Make(seed).Write(os.Args[2])
	}
	if err != nil {
		log.Fatal(err)
	}
}
`

// open builds the baseline.
func open(t *testing.T) *base {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	b := &base{dir: filepath.Join(cache, "meminspect", "baseline-"+commit)}
	b.source, b.tool, b.sources = filepath.Join(b.dir, "source"), filepath.Join(b.dir, "meminspect"), filepath.Join(b.dir, "sources")
	if err := exec.Command("git", "cat-file", "-e", commit+"^{commit}").Run(); err != nil {
		t.Skipf("commit %s is not in this clone: it is shallow or no clone of git's: %v", commit, err)
	}
	b.once(t, "sources", func() {
		archive := filepath.Join(t.TempDir(), "source.tar")
		run(t, "../../..", nil, "git", "archive", "-o", archive, commit)
		dir := filepath.Join(b.source, "internal", "kinds", "random", "sources")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		run(t, b.source, nil, "tar", "xf", archive)
		write(t, filepath.Join(dir, "main.go"), sourcesMain)
		run(t, b.source, nil, "go", "build", "-trimpath", "-buildvcs=false", "-o", b.tool, "./cmd/meminspect")
		// Not -trimpath: it finds what it writes by the path of its source.
		run(t, b.source, nil, "go", "build", "-buildvcs=false", "-o", b.sources, "./internal/kinds/random/sources")
	})
	return b
}

// once makes the file of a name in the cache unless it is there: one process at a
// time. The file must be written last.
func (b *base) once(t *testing.T, name string, build func()) {
	t.Helper()
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(b.dir, filepath.Base(name)+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, name)); err != nil {
		t.Logf("building %s", name)
		build()
	}
}

// fullCore returns gdb's core of the running program, from the cache, where it
// is compressed: it is of a gigabyte and nearly all zeros.
func (b *base) fullCore(t *testing.T, p program) string {
	t.Helper()
	debuggers.Need(t, "gcore")
	debuggers.Need(t, "zstd")
	dir := filepath.Join(b.dir, p.name)
	packed := filepath.Join(dir, "full.core.zst")
	b.once(t, filepath.Join(p.name, "full.core.zst"), func() {
		exe := filepath.Join(dir, "program")
		b.build(t, p, exe)
		tmp := t.TempDir()
		pid := start(t, exe, filepath.Join(tmp, "words"), filepath.Join(tmp, "own.core"))
		run(t, dir, nil, "gcore", "-o", filepath.Join(tmp, "core"), fmt.Sprint(pid))
		run(t, dir, nil, "zstd", "-q", "-1", "--rm", filepath.Join(tmp, fmt.Sprintf("core.%d", pid)), "-o", packed+".new")
		if err := os.Rename(packed+".new", packed); err != nil {
			t.Fatal(err)
		}
	})
	whole := filepath.Join(t.TempDir(), "full.core")
	run(t, dir, nil, "zstd", "-q", "-d", "--sparse", packed, "-o", whole)
	return whole
}

// build builds a program with the runtime module of the baseline.
func (b *base) build(t *testing.T, p program, exe string) {
	t.Helper()
	source := filepath.Join(b.source, p.source)
	if p.source == "" {
		source = filepath.Join(filepath.Dir(exe), "source")
		if err := os.MkdirAll(source, 0o755); err != nil {
			t.Fatal(err)
		}
		run(t, source, nil, b.sources, fmt.Sprint(p.seed), source)
	}
	env := append(strings.Fields(p.env), "GOFLAGS=-buildvcs=false")
	if _, err := os.Stat(filepath.Join(source, "go.mod")); err == nil {
		work := filepath.Join(t.TempDir(), "go.work")
		write(t, work, fmt.Sprintf("go 1.24\n\nuse (\n\t%q\n\t%q\n)\n", source, filepath.Join(b.source, "runtime")))
		env = append(env, "GOWORK="+work)
	}
	run(t, source, env, "go", append(append([]string{"build", "-o", exe}, p.flags...), ".")...)
}

// start runs a program until it is ready and stops it.
func start(t *testing.T, exe string, args ...string) (pid int) {
	t.Helper()
	cmd := exec.Command(exe, args...)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%s printed %q, %v", exe, line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Wait4(cmd.Process.Pid, nil, syscall.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, bytes.TrimSpace(out))
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
