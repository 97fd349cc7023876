//go:build linux

package vm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/internal/vm"
)

const root = "../../.."

// A system is a processor and a series of kernels.
type system struct {
	arch string
	line vm.Line
}

// name is that of the system's subtests, whether its kernel is available or not.
func (s system) name() string {
	return s.arch + " " + map[vm.Line]string{vm.Stable: "stable", vm.Backports: "backports"}[s.line]
}

// kernel returns the kernel of a system. A sample, which has each processor once, takes
// the stable series if the system's packages do not have the other one.
func (s system) kernel(t *testing.T) vm.Kernel {
	t.Helper()
	if matrix.Whole() {
		return vm.Need(t, s.arch, s.line)
	}
	return vm.Need(t, s.arch, s.line, vm.Stable)
}

// systems are those on which the tests run: of the sample, one for each processor.
func systems() []system {
	all := []system{{"amd64", vm.Stable}, {"arm64", vm.Backports}, {"amd64", vm.Backports}, {"arm64", vm.Stable}}
	return all[:matrix.Choose(2, len(all))]
}

var (
	// workDir has what outlives one test.
	workDir string

	running = map[system]*machine{}
	images  = map[string]string{} // by architecture
	// programs are those of the images, by architecture and name.
	programs = map[string]string{}
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	removeAbandoned(os.TempDir())
	dir, unlock, err := newWorkDir(os.TempDir())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer unlock()
	defer os.RemoveAll(dir)
	workDir = dir
	// Everything temporary is below it: disks of machines, programs, directories of tests.
	if err := os.Setenv("TMPDIR", dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	kinds.Cleanup()
	for _, m := range running {
		m.Close()
	}
	return status
}

// workDirs is the beginning of the names of the work directories. A test binary that is
// killed, or reaches its time limit, leaves its directory.
const workDirs = "meminspect-acceptance-vm-"

// newWorkDir makes a work directory below parent. It is locked while its owner lives.
func newWorkDir(parent string) (dir string, unlock func(), err error) {
	// It gets its name when it is locked.
	unnamed, err := os.MkdirTemp(parent, "meminspect-new-")
	if err != nil {
		return "", nil, err
	}
	f, err := os.Open(unnamed)
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	dir = filepath.Join(parent, workDirs+strings.TrimPrefix(filepath.Base(unnamed), "meminspect-new-"))
	if err == nil {
		err = os.Rename(unnamed, dir)
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("making the work directory: %w", err), f.Close(), os.Remove(unnamed))
	}
	return dir, func() { f.Close() }, nil
}

// removeAbandoned removes the work directories below parent whose owners have ended.
func removeAbandoned(parent string) {
	found, err := filepath.Glob(filepath.Join(parent, workDirs+"*"))
	if err != nil {
		return
	}
	for _, dir := range found {
		f, err := os.Open(dir)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			os.RemoveAll(dir)
		}
		f.Close()
	}
}

// The next tests remove the work directory of those that were killed, and no other.
func TestAbandonedWorkDirs(t *testing.T) {
	parent := t.TempDir()
	dir, unlock, err := newWorkDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	removeAbandoned(parent)
	if _, err := os.Stat(filepath.Join(dir, "file")); err != nil {
		t.Errorf("the owner lives: %v", err)
	}
	unlock()
	removeAbandoned(parent)
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A machine is a virtual machine with the tests' programs in /programs.
type machine struct {
	*vm.Machine
	kernel vm.Kernel
	broken bool
}

// onEach runs a test on each system, as a subtest.
func onEach(t *testing.T, test func(*testing.T, *machine)) {
	t.Helper()
	for _, s := range systems() {
		t.Run(s.name(), func(t *testing.T) { test(t, boot(t, s)) })
	}
}

// boot returns the running machine of a system; the first test on it boots it.
func boot(t *testing.T, s system) *machine {
	t.Helper()
	if m := running[s]; m != nil {
		if !m.broken && m.Err() == nil {
			return m
		}
		delete(running, s)
		m.Close()
	}
	m := start(t, s, vm.Config{Disks: []vm.Disk{
		{MiB: 128, PerSecond: 300}, // for caches: slow, so that a program spends its time in waiting, on a busy host too
		{MiB: 128},                 // for swap
	}})
	running[s] = m
	return m
}

// start boots a machine of which the test changes the configuration.
func start(t *testing.T, s system, c vm.Config) *machine {
	t.Helper()
	c.Kernel = s.kernel(t)
	c.Image = image(t, c.Kernel)
	begin := time.Now()
	m, err := vm.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: Linux %s booted in %.1f s", c.Kernel.Name(), m.Release, time.Since(begin).Seconds())
	return &machine{Machine: m, kernel: c.Kernel}
}

// image returns the root file system for a kernel.
func image(t *testing.T, k vm.Kernel) string {
	t.Helper()
	file := filepath.Join(workDir, k.Name()+".cpio")
	if images[file] != "" {
		return file
	}
	i := vm.NewImage(k.Arch)
	i.Package(vm.NeedPackages(t, k.Arch, packages...)...)
	for name, b := range builds {
		i.File("programs/"+name, program(t, k.Arch, name, b))
	}
	all := kinds.Make(t, kinds.Build{Env: "GOARCH=" + k.Arch + " CGO_ENABLED=0", Tables: true})
	programs[k.Arch+" kinds"] = all
	i.File("programs/kinds", all)
	if err := i.Write(file, k); err != nil {
		t.Fatal(err)
	}
	images[file] = file
	return file
}

// packages are in each image; nothing of them is configured.
var packages = []string{"dash", "coreutils", "util-linux", "mount", "grep", "diffutils", "libcap2-bin", "kmod", "runc", "crun", "systemd", "systemd-coredump"}

// A build is how a program of the images is built.
type build struct {
	pkg   string
	flags []string
}

const acceptance = "./internal/acceptance/testdata/"

// builds are the programs of each image, by name.
var builds = map[string]build{
	"meminspect":    {"./cmd/meminspect", nil},
	"crasher-plain": {acceptance + "crasher", nil},
	"seccomp":       {acceptance + "seccomp", nil},
	"selfcore":      {acceptance + "selfcore", nil},
	"backends":      {acceptance + "backends", nil},
	"physical":      {acceptance + "physical", nil},
	"systemcalls":   {acceptance + "systemcalls", nil},
}

// program builds a program, once, and returns its path on the host.
func program(t *testing.T, arch, name string, b build) string {
	t.Helper()
	key := arch + " " + name
	if path := programs[key]; path != "" {
		return path
	}
	built, err := vm.Build(arch, root, b.pkg, nil, b.flags...)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(workDir, arch, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(built, path); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Dir(built))
	programs[key] = path
	return path
}

// run runs a script of the shell in the machine, after the functions in [functions]. It
// returns the output of a script that succeeded.
func (m *machine) run(t *testing.T, script string) string {
	t.Helper()
	out, status := m.try(t, script)
	if status != 0 {
		t.Fatalf("exit status %d of the script\n%s\nIt printed:\n%s", status, script, out)
	}
	return out
}

// try is run for a script that may fail.
func (m *machine) try(t *testing.T, script string) (out string, status int) {
	t.Helper()
	return m.tryWithin(t, 3*time.Minute, script)
}

func (m *machine) tryWithin(t *testing.T, limit time.Duration, script string) (out string, status int) {
	t.Helper()
	r, err := m.Run(vm.Command{Args: []string{"sh", "-euc", functions + script}, Limit: limit})
	if err != nil {
		m.broken = true
		t.Fatal(err)
	}
	if r.Status.Signaled() {
		return r.Output, 128 + int(r.Status.Signal())
	}
	return r.Output, r.Status.ExitStatus()
}

// functions are for the scripts.
const functions = `
PATH=/programs:$PATH
exec 9>&1
# fail MESSAGE ends the script.
fail() { echo "FAILED: $*" >&9; exit 99; }
# A script that fails prints its log and the end of the kernel's.
trap 's=$?; [ $s = 0 ] || { echo "exit status $s" >&9; cat /tmp/log >&9 2>/dev/null; dmesg | tail -n 5 >&9; }' EXIT
rm -f /tmp/log
# wait_for SECONDS COMMAND… waits until the command succeeds, of which the words are evaluated each time.
wait_for() {
	limit=$1; shift
	end=$(($(date +%s) + limit))
	until eval "$@" >/dev/null 2>&1; do
		[ $(date +%s) -lt $end ] || fail "waited ${limit}s in vain for: $*"
		sleep 0.1
	done
}
# one GLOB prints the only file of that pattern.
one() {
	[ $# = 1 ] && [ -e "$1" ] || fail "not one file but $#: $*; in the directory: $(ls "$(dirname "$1")" 2>&1)"
	echo "$1"
}
# until_core WAY COMMAND… runs a command whose program ends in that way. After SIGKILL a
# capture has two seconds, because the OOM killer may have sent it: on a busy host, which
# emulates the processor, that can be too little. So it is tried up to six times; after
# any other way, once.
until_core() {
	case $1 in sigkill|grow) attempts=6;; *) attempts=1;; esac
	shift
	for attempt in $(seq $attempts); do
		"$@" && fail "it ended well"
		if ls $cores/*.core >/dev/null 2>&1; then break; fi
	done
}
# status COMMAND… prints its exit status.
status() { s=0; "$@" >/dev/null 2>&1 || s=$?; echo $s; }
`

// fetch returns a copy of a file of the machine.
func (m *machine) fetch(t *testing.T, name string) string {
	t.Helper()
	data, err := m.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), filepath.Base(name))
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// program returns the host's copy of a program.
func (m *machine) program(t *testing.T, name string) string {
	t.Helper()
	path := programs[m.kernel.Arch+" "+name]
	if path == "" {
		t.Fatalf("no program %s", name)
	}
	return path
}
