//go:build linux

// Package privacy looks for private data in everything that the tool and the
// runtime write: it plants marks in a program's memory, captures the program in
// every way, and scans the files.
package privacy

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/cpu"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/groups"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/heapreport"
	"github.com/meminspect/meminspect/internal/kernelcore"
	"github.com/meminspect/meminspect/internal/marks"
	"github.com/meminspect/meminspect/internal/matrix"
)

var full = matrix.Whole()

// A build is a way to build the program.
type build struct {
	cgo, exclusions bool
	stripped        bool
	library         bool   // in a C host; needs cgo
	toolchain       string // GOTOOLCHAIN, "" for the one that runs the test
	secret          bool   // with package runtime/secret
}

func (b build) String() string {
	text := fmt.Sprintf("cgo=%v,exclusions=%v", b.cgo, b.exclusions)
	if b.stripped {
		text += ",stripped"
	}
	if b.library {
		text += ",library"
	}
	if b.toolchain != "" {
		text += "," + b.toolchain
	}
	if b.secret {
		text += ",secret"
	}
	return text
}

var builds = []build{{}, {cgo: true}, {exclusions: true}, {cgo: true, exclusions: true}}

// planted returns the names of all marks that the program plants.
func (b build) planted() []string {
	names := []string{"linker flag", "argument", "environment", "path", "visible", "tag", "variable", "heap", "freed", "logged", "goroutine label", "pprof label", "stack"}
	if b.cgo {
		names = append(names, "C variable", "C heap", "C freed")
	}
	if b.exclusions {
		names = append(names, "excluded variable", "excluded field")
	}
	if b.exclusions || b.secret {
		names = append(names, "printed")
	}
	return names
}

// An expectation is what a capture must have. It may have what is neither in
// must nor forbidden: a stack or a register that was in use.
type expectation struct {
	must, may []string
}

// scan reports every mark in data that it may not have, and every one that it
// lacks.
func (b build) scan(t *testing.T, what string, data []byte, e expectation) {
	t.Helper()
	for _, name := range b.planted() {
		form := marks.Find(data, marks.Of(name))
		switch {
		case slices.Contains(e.must, name):
			if form == "" {
				t.Errorf("%s lacks the mark %q", what, name)
			}
		case form != "" && !slices.Contains(e.may, name):
			t.Errorf("%s has the mark %q, %s", what, name, form)
		}
	}
}

// A program is the program, built, in a folder whose path has a mark: the kernel
// stores it next to the auxiliary vector.
type program struct {
	build
	path string // through a link with a mark in its name
}

func compile(t *testing.T, b build) program {
	t.Helper()
	dir := t.TempDir()
	folder := filepath.Join(dir, "real")
	ldflags, tags, file, mode := "-ldflags=-X main.linked="+string(marks.Of("linker flag")), "-tags=", "marked", "exe"
	if b.stripped {
		ldflags += " -s -w"
	}
	if b.exclusions {
		tags += "exclusions,"
	}
	if b.library {
		tags, file, mode = tags+"library", "libmarked.so", "c-shared"
	}
	cmd := exec.Command("go", "build", "-buildmode="+mode, "-o", filepath.Join(folder, file), ldflags, tags, "../testdata/marked")
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+map[bool]string{true: "1", false: "0"}[b.cgo])
	if b.toolchain != "" {
		cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+b.toolchain)
	}
	if b.secret {
		cmd.Env = append(cmd.Env, "GOEXPERIMENT=runtimesecret")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	if b.library {
		cc := exec.Command("cc", "-o", filepath.Join(folder, "marked"), "../testdata/marked/host/host.c", "-L"+folder, "-lmarked", "-Wl,-rpath,$ORIGIN")
		if out, err := cc.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cc.Args, err, out)
		}
	}
	link := filepath.Join(dir, string(marks.Of("path")))
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	return program{b, filepath.Join(link, "marked")}
}

// start runs the program, under a command if there is one, until it is ready,
// and returns its process ID.
func (p program) start(t *testing.T, under []string, action string, args ...string) (cmd *exec.Cmd, pid int) {
	t.Helper()
	return p.startIn(t, nil, under, action, args...)
}

// startIn is start with more of an environment.
func (p program) startIn(t *testing.T, env, under []string, action string, args ...string) (cmd *exec.Cmd, pid int) {
	t.Helper()
	line := append(append(slices.Clone(under), p.path, action, string(marks.Of("argument"))), args...)
	cmd = exec.Command(line[0], line[1:]...)
	if len(under) == 0 {
		cmd.Args[0] = "marked" // a core has the first 79 bytes of a command line
	}
	cmd.Env = append(append(os.Environ(), env...), "MARKED_TOKEN="+string(marks.Of("environment")))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ready := make(chan int, 1)
	go func() {
		var pid int
		_, _ = fmt.Fscanf(out, "ready %d\n", &pid)
		ready <- pid
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case pid = <-ready:
	case <-time.After(time.Minute):
	}
	if pid == 0 {
		t.Fatalf("%v did not get ready: %s", line, &stderr)
	}
	return cmd, pid
}

// control fails the test if the program's memory lacks a mark: a scan of a core
// would prove nothing.
func (b build) control(t *testing.T, pid int) {
	t.Helper()
	p, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	list, err := p.Maps()
	if err != nil {
		t.Fatal(err)
	}
	missing := b.planted()
	for _, m := range list {
		if !m.Read || !m.Write {
			continue
		}
		data := make([]byte, m.Size())
		n, _ := p.Memory().ReadAt(data, m.Start)
		missing = slices.DeleteFunc(missing, func(name string) bool { return bytes.Contains(data[:n], marks.Of(name)) })
	}
	if len(missing) > 0 {
		t.Fatalf("the program's memory lacks the marks %q", missing)
	}
}

// gcore returns gdb's core of all memory of a process.
func gcore(t *testing.T, pid int) string {
	t.Helper()
	core := filepath.Join(t.TempDir(), "full.core")
	out, err := exec.Command(debuggers.Need(t, "gdb"), "-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off",
		"-p", strconv.Itoa(pid), "-ex", "generate-core-file "+core, "-ex", "detach").CombinedOutput()
	if _, serr := os.Stat(core); serr != nil {
		t.Fatalf("gdb wrote no core: %v\n%s", err, out)
	}
	return core
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sampled reports whether the n-th combination is in the sample. The numbers of
// values of all options have no factor in common with the step.
func sampled(n int) bool { return full || n%17 == 5 }

// No capture of a running program has private data, whatever its options; it has
// what was annotated, and what was asked for.
func TestCapture(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another process' registers are read on amd64 only")
	}
	tally := matrix.NewTally(t)
	for i, b := range builds {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			p := compile(t, b)
			_, pid := p.start(t, nil, "wait")
			b.control(t, pid)
			random := randomBytes(t, pid)
			n := i
			for _, c := range captures() {
				if n++; !sampled(n) {
					tally.Skip(1)
					continue
				}
				tally.RunIn(t, c.name, func(t *testing.T) {
					data := p.capture(t, pid, c.Options)
					if bytes.Contains(data, random) {
						t.Error("it has the bytes that the kernel made for AT_RANDOM")
					}
				})
			}
			p.handle(t, pid)
			filters := [][]string{nil, {"--stacks=full"}, {"--stacks=skeleton", "--data", "--heap"}, {"--strict"}}
			if !full && i > 0 {
				tally.Skip(len(filters)) // a full core of a gigabyte
				return
			}
			whole := gcore(t, pid)
			for _, flags := range filters {
				tally.RunIn(t, fmt.Sprint("filter ", flags), func(t *testing.T) { p.filter(t, whole, flags) })
			}
		})
	}
}

// capture captures the program, scans the core and returns it.
func (p program) capture(t *testing.T, pid int, o capture.Options) []byte {
	t.Helper()
	core, err := capture.Capture(context.Background(), pid, o)
	if err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	if _, err := core.WriteTo(&data); err != nil {
		t.Fatal(err)
	}
	p.scan(t, "the core", withHeap(t, data.Bytes()), p.expect(o))
	summary := core.Summary()
	warned := slices.ContainsFunc(summary.Problems, func(p capture.Problem) bool { return p.What == "stacks" })
	if want := p.exclusions && summary.Stacks == "full"; warned != want {
		t.Errorf("full stacks with exclusions: %v, and a warning: %v: %v", want, warned, summary.Problems)
	}
	return data.Bytes()
}

// withHeap returns a core followed by its record of the heap, which is compressed in it.
func withHeap(t *testing.T, data []byte) []byte {
	t.Helper()
	core, err := inspect.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	heap, err := heapreport.Recorded(core)
	if err != nil {
		t.Fatal(err)
	}
	if heap == nil {
		return data
	}
	text, err := json.Marshal(heap)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(data, text)
}

// filter filters a full core and scans the result.
func (p program) filter(t *testing.T, whole string, flags []string) {
	t.Helper()
	small := filepath.Join(t.TempDir(), "small.core")
	meminspect(t, append([]string{"filter", whole, "-q", "-o", small}, flags...)...)
	opts := capture.Options{Stop: capture.StopAlways}
	if slices.Contains(flags, "--stacks=full") {
		opts.Stacks = capture.StacksFull
	}
	if slices.Contains(flags, "--data") {
		opts.Mode, opts.Stacks = capture.Data, capture.StacksSkeleton
	}
	if slices.Contains(flags, "--strict") {
		opts.Mode = capture.Strict
	}
	p.scan(t, fmt.Sprint("filter ", flags), withHeap(t, read(t, small)), p.expect(opts))
}

// randomBytes returns the bytes to which the auxiliary vector leads: the C library
// makes of them what guards its stacks and its pointers.
func randomBytes(t *testing.T, pid int) []byte {
	t.Helper()
	const atRandom, size = 25, 16
	p, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	auxv, err := p.Auxv()
	if err != nil {
		t.Fatal(err)
	}
	for ; len(auxv) >= size; auxv = auxv[size:] {
		if binary.LittleEndian.Uint64(auxv) == atRandom {
			random := make([]byte, size)
			if _, err := p.Memory().ReadAt(random, memory.Address(binary.LittleEndian.Uint64(auxv[8:]))); err != nil {
				t.Fatal(err)
			}
			return random
		}
	}
	t.Fatal("the auxiliary vector has no AT_RANDOM")
	return nil
}

// handle has the program captured as the kernel has one that crashes, and scans what
// that leaves.
func (p program) handle(t *testing.T, pid int) {
	t.Helper()
	for _, flags := range [][]string{nil, {"--stacks=skeleton"}, {"--stacks=none", "--compress"}, {"--strict"}, {"--data", "--heap"}} {
		dir := t.TempDir()
		meminspect(t, append(append([]string{"core-handler", "--dir", dir}, flags...), strconv.Itoa(pid), "6", "marked")...)
		if len(coresIn(t, dir)) == 0 {
			t.Errorf("core-handler %v wrote no core", flags)
		}
		p.scanDir(t, dir, flags, true)
	}
}

type captureCase struct {
	name string
	capture.Options
}

// captures are all combinations of the options that select memory.
func captures() (all []captureCase) {
	stops := map[string]capture.Stop{"auto": capture.StopAuto, "always": capture.StopAlways, "never": capture.StopNever, "try": capture.StopTry}
	for _, stop := range slices.Sorted(maps.Keys(stops)) {
		for stacks := capture.StacksAuto; stacks <= capture.StacksNone; stacks++ {
			for mode := capture.Default; mode <= capture.Data; mode++ {
				for private := range 4 {
					c := captureCase{
						fmt.Sprintf("stop %s, stacks %v, mode %v, args %v, labels %v", stop, stacks, mode, private&1 != 0, private&2 != 0),
						capture.Options{Stop: stops[stop], Stacks: stacks, Mode: mode, Args: private&1 != 0, Labels: private&2 != 0},
					}
					if len(all)%4 == 1 {
						c.name += ", heap"
						c.Request.Heap = heapreport.Reader{Options: heapreport.Options{Paths: true}}
					}
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// expect returns what a capture of the program has.
func (b build) expect(o capture.Options) (e expectation) {
	e.must = append(e.must, "visible", "logged", "tag")
	if o.Args {
		e.must = append(e.must, "argument", "linker flag")
	}
	if o.Labels && o.Mode != capture.Strict && o.Stacks != capture.StacksNone {
		e.must = append(e.must, "goroutine label", "pprof label")
	}
	if o.Mode == capture.Data && !b.exclusions {
		e.must = append(e.must, "variable")
	}
	if o.Mode != capture.Strict && (o.Stacks == capture.StacksFull || o.Stacks == capture.StacksAuto && !b.exclusions) {
		e.must = append(e.must, "stack")
	}
	return e
}

// tool is the path of the meminspect command.
var tool string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "meminspect-privacy")
	if err != nil {
		panic(err)
	}
	tool = filepath.Join(dir, "meminspect")
	if out, err := exec.Command("go", "build", "-o", tool, "../../../cmd/meminspect").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, out))
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

func meminspect(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(tool, args...).CombinedOutput()
	// Status 3 is a capture that lacks something.
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) {
		t.Fatalf("meminspect %v: %v\n%s", args, err, out)
	}
}

// A trigger is a way to have `meminspect run` capture the program.
type trigger struct {
	action  string
	env     string // of the program, besides the environment of all
	through string // command line of a shell that starts the program, "$@"
	monitor bool   // the program starts its collector itself
	flags   []string
	then    func(pid int, cores string) error // when the program is ready
	lives   bool                              // the program does not end by itself
	limit   int                               // of memory: the program enters its group after its start, and the OOM killer ends it
	reason  string                            // of a core, "" = any
}

func (tr trigger) String() string {
	return strings.Join(slices.DeleteFunc([]string{tr.action, tr.through, map[bool]string{true: "monitor"}[tr.monitor], map[bool]string{true: "limit"}[tr.limit > 0], tr.reason}, func(s string) bool { return s == "" }), ",")
}

// parent returns the parent of a process.
func parent(pid int) (int, error) {
	p, err := process.Open(pid)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	stat, err := p.Stat()
	return stat.Parent, err
}

// killAfterSnapshot kills the program when its first snapshot is kept.
func killAfterSnapshot(pid int, cores string) error {
	report := filepath.Join(filepath.Dir(cores), "report")
	if !await.Poll(func() bool { text, _ := os.ReadFile(report); return bytes.Contains(text, []byte(`"kept"`)) }) {
		return errors.New("no snapshot was kept")
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

var triggers = []trigger{
	{action: "panic"},
	{action: "nil"},
	{action: "throw"},
	{action: "sigquit"},
	{action: "sigkill"},
	{action: "exit"},
	{action: "fault"},
	{action: "snapshot"},
	{action: "hang", lives: true},
	{action: "hang", flags: []string{"--on-hang=quit"}},
	{action: "grow", env: "GOMEMLIMIT=48MiB", flags: []string{"--memory=70"}, lives: true},
	{action: "panic", through: `"$@"; true`}, // the program is a child of the one that is supervised
	{action: "panic", through: `exec "$@"`},
	{action: "panic", monitor: true},
	{action: "sigkill", monitor: true},
	{action: "wait", monitor: true, flags: []string{"--snapshot=50ms", "--exit-stop=off"}, lives: true, then: killAfterSnapshot},
	{action: "wait", flags: []string{"--signal=USR1"}, then: func(pid int, _ string) error {
		supervisor, err := parent(pid)
		if err != nil {
			return err
		}
		return syscall.Kill(supervisor, syscall.SIGUSR1)
	}, lives: true},
	{action: "wait", flags: []string{"--exit-stop=off", "--snapshot=50ms"}, lives: true, then: killAfterSnapshot},
	{action: "wait", flags: []string{"--exit-stop=off", "--snapshot=50ms", "--snapshot-file"}, lives: true, then: killAfterSnapshot},
	{action: "wait", lives: true, then: func(pid int, cores string) error {
		out, err := exec.Command(tool, "trigger", "--dir", cores, strconv.Itoa(pid)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("trigger: %w: %s", err, out)
		}
		return nil
	}},
	{action: "grow", limit: 64 << 20, flags: []string{"--memory=0", "--snapshot=50ms"}, reason: "oom-kill"},
	{action: "grow", limit: 64 << 20, flags: []string{"--memory=0", "--exit-stop=off", "--snapshot=50ms"}, reason: "oom-kill"},
	{action: "grow", limit: 96 << 20, flags: []string{"--memory=70"}, reason: "memory"},
}

// What run writes has no private data: cores, the termination message, its
// report, the crash text, files of snapshots. Cores have what was annotated.
func TestRun(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another process' registers are read on amd64 only")
	}
	more := [][]string{nil, {"--stacks=skeleton"}, {"--stacks=none", "--compress"}, {"--strict", "--compress"}, {"--data", "--heap"}}
	tally := matrix.NewTally(t)
	for i, b := range builds {
		p := compile(t, b)
		for k, tr := range triggers {
			for j, flags := range more {
				// Each trigger, with one build and one set of flags.
				if !full && (k%len(builds) != i || k%len(more) != j) {
					tally.Skip(1)
					continue
				}
				flags := append(slices.Clone(tr.flags), flags...)
				tally.Run(fmt.Sprint(b, ",", tr, flags), func(t *testing.T) {
					t.Parallel()
					p.supervise(t, tr, flags)
				})
			}
		}
	}
}

// supervise scans what run writes. On a busy machine the kernel may kill a program that
// grows before it is captured, as the core records: then it tries again.
func (p program) supervise(t *testing.T, tr trigger, flags []string) {
	const tries = 3
	for try := 1; !p.superviseOnce(t, tr, flags); try++ {
		if try == tries || tr.reason != "memory" {
			t.Fatalf("in %d tries no core has the reason %s", tries, tr.reason)
		}
	}
}

// superviseOnce is a try of supervise. It reports false if no core has the wanted reason.
func (p program) superviseOnce(t *testing.T, tr trigger, flags []string) bool {
	t.Helper()
	base := t.TempDir()
	cores := filepath.Join(base, "cores")
	flags = append([]string{"--json", "--dir", cores, "--report", base + "/report", "--message", base + "/message", "--crash-text", base + "/crash"}, flags...)
	cmd, pid := p.startTriggered(t, tr, flags)
	if tr.then != nil {
		if err := tr.then(pid, cores); err != nil {
			t.Fatal(err)
		}
	}
	if tr.lives {
		await.True(t, "a core", func() bool { return len(coresIn(t, cores)) > 0 })
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	_ = cmd.Wait()
	if tr.monitor { // it outlives the program
		await.True(t, "the event ended", func() bool { return bytes.Contains(read(t, base+"/report"), []byte(`"ended"`)) })
	}
	if len(coresIn(t, cores)) == 0 {
		t.Fatalf("no core was written: %s", read(t, base+"/report"))
	}
	// The kernel may have freed what the core would have.
	p.scanDir(t, base, flags, tr.limit == 0)
	if tr.reason == "" || slices.ContainsFunc(coresIn(t, cores), func(name string) bool { return strings.Contains(name, "."+tr.reason+".") }) {
		return true
	}
	t.Logf("no core has the reason %s: %v", tr.reason, coresIn(t, cores))
	return false
}

// startTriggered starts the program with a collector that has these flags.
func (p program) startTriggered(t *testing.T, tr trigger, flags []string) (cmd *exec.Cmd, pid int) {
	t.Helper()
	var env []string
	if tr.env != "" {
		env = append(env, tr.env)
	}
	if tr.limit > 0 { // of the program alone, which ends only if it is killed
		tr.through = groups.Enter(groups.Limited(t, tr.limit)) + `exec "$@"`
	}
	if tr.monitor {
		env = append(env, "MARKED_MONITOR="+tool, "MARKED_FLAGS="+strings.Join(flags, " "))
		return p.startIn(t, env, nil, tr.action)
	}
	under := append(append([]string{tool, "run"}, flags...), "--")
	if tr.through != "" {
		under = append(under, "sh", "-c", tr.through, "sh")
	}
	return p.startIn(t, env, under, tr.action)
}

// Of the large vector registers, which Go code does not use, a core has nothing:
// neither of a thread that runs, nor in what the kernel saved on the stack for the
// handler of a signal, from outside and from the kernel's core.
func TestVectorRegisters(t *testing.T) {
	if !cpu.X86.HasAVX512F {
		t.Skip("this processor has no register that the program's own code does not use: AVX-512")
	}
	p := compile(t, build{cgo: true})
	scan := func(what string, data []byte) {
		if form := marks.Find(data, marks.Of("vector register")); form != "" {
			t.Errorf("%s has the register, %s", what, form)
		}
	}
	base := t.TempDir()
	_, pid := p.start(t, nil, "spin")
	running := filepath.Join(base, "running.core")
	await.True(t, "the program runs", func() bool {
		meminspect(t, "capture", strconv.Itoa(pid), "--stop", "-q", "-o", running, "--stacks=full")
		list, err := exec.Command(tool, "goroutines", running).Output()
		return err == nil && bytes.Contains(list, []byte("main.spin"))
	})
	scan("the core of a running thread", read(t, running))

	handled := func(what, core string) {
		data, frame := read(t, core), []byte("SXPF")
		if !bytes.Contains(data, frame) {
			t.Errorf("%s has nothing that the kernel saved for a handler", what)
		}
		scan(what, data)
	}
	cmd, _ := p.start(t, []string{tool, "run", "--dir", base, "--stacks=full", "--"}, "vectors")
	_ = cmd.Wait()
	cores := slices.DeleteFunc(coresIn(t, base), func(name string) bool { return filepath.Base(name) == filepath.Base(running) })
	if len(cores) != 1 {
		t.Fatalf("cores %v", cores)
	}
	handled("the core of a handler", cores[0])
	whole := kernelcore.Make(t, kernelcore.Default, 0, p.path, "vectors", string(marks.Of("argument")))
	small := filepath.Join(base, "small.core")
	meminspect(t, "filter", whole, "-q", "-o", small, "--stacks=full")
	handled("the filtered core", small)
}

// scanDir scans every file in a directory, cores also decompressed. They are whole
// if nothing took the program's memory before it was captured.
func (p program) scanDir(t *testing.T, base string, flags []string, whole bool) {
	t.Helper()
	opts := capture.Options{}
	for _, f := range flags {
		switch f {
		case "--strict":
			opts.Mode = capture.Strict
		case "--data":
			opts.Mode = capture.Data
		case "--stacks=skeleton":
			opts.Stacks = capture.StacksSkeleton
		case "--stacks=none":
			opts.Stacks = capture.StacksNone
		}
	}
	e := p.expect(opts)
	// The stack may be that of a program that was not held.
	e.may = append(e.may, e.must...)
	err := filepath.WalkDir(base, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		what := strings.TrimPrefix(path, base)
		if !strings.Contains(path, ".core") {
			p.scan(t, what, read(t, path), expectation{})
			return nil
		}
		f, err := corefile.Open(path, corefile.OpenOptions{})
		if err != nil {
			return err
		}
		defer f.Close()
		data, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
		if err != nil {
			return err
		}
		must := []string{"visible", "logged", "tag"}
		if opts.Mode == capture.Data && !p.exclusions {
			must = append(must, "variable")
		}
		if !whole {
			must = nil
		}
		p.scan(t, what, withHeap(t, data), expectation{must: must, may: e.may})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// If the core is encrypted, no file has a value, a log record, a stack or the message
// of a panic: not the report either, which goes to standard error by default, nor the
// file of snapshots. The supervisor is asked for no copy of the crash text.
func TestEncrypted(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another process' registers are read on amd64 only")
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	telling := trigger{action: "tell"} // a panic whose message is a value
	all := append([]trigger{telling, {action: "tell", through: `"$@"; true`}, {action: "tell", monitor: true}}, triggers...)
	tally := matrix.NewTally(t)
	for i, b := range builds[:2] {
		p := compile(t, b)
		for k, tr := range all {
			if !full && k > 2 && k%len(builds[:2]) != i {
				tally.Skip(1)
				continue
			}
			tally.Run(fmt.Sprint(b, ",", tr, tr.flags), func(t *testing.T) {
				t.Parallel()
				p.encrypt(t, tr, key)
			})
		}
	}
}

// encrypt scans what there is while the program runs, and what is left of it.
func (p program) encrypt(t *testing.T, tr trigger, key *age.X25519Identity) {
	base := t.TempDir()
	cores := filepath.Join(base, "cores")
	flags := append([]string{"--recipient=" + key.Recipient().String(), "--json", "--dir=" + cores, "--report=" + base + "/report", "--message=" + base + "/message", "--notify=" + posted(t, base+"/posted")}, tr.flags...)
	cmd, pid := p.startTriggered(t, tr, flags)
	scan := func() {
		t.Helper()
		err := filepath.WalkDir(base, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && !entry.Type().IsRegular() {
				return nil
			}
			if err != nil {
				return err
			}
			if data, err := os.ReadFile(path); err == nil { // it may have been removed
				p.scan(t, strings.TrimPrefix(path, base), data, expectation{})
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if tr.then != nil {
		if err := tr.then(pid, cores); err != nil {
			t.Fatal(err)
		}
		scan()
	}
	if tr.lives {
		await.True(t, "a core", func() bool { return len(coresIn(t, cores)) > 0 })
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	_ = cmd.Wait()
	if tr.monitor {
		await.True(t, "the event ended", func() bool { return bytes.Contains(read(t, base+"/report"), []byte(`"ended"`)) })
	}
	scan()
	notified(t, base)
	found := coresIn(t, cores)
	if len(found) == 0 {
		t.Fatalf("no core was written: %s", read(t, base+"/report"))
	}
	f, err := corefile.Open(found[0], corefile.OpenOptions{Identities: []age.Identity{key}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
	if err != nil || tr.limit == 0 && marks.Find(data, marks.Of("visible")) == "" {
		t.Errorf("%v: the core lacks the value", err)
	}
}

// A supervisor that is killed leaves the file of its snapshots to the next. If cores
// are encrypted, that file is too.
func TestEncryptedLeftovers(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another process' registers are read on amd64 only")
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	p, base := compile(t, builds[0]), t.TempDir()
	cores := filepath.Join(base, "cores")
	flags := []string{"--json", "--dir=" + cores, "--report=" + base + "/report", "--message=" + base + "/message"}
	cmd, pid := p.startTriggered(t, trigger{action: "wait"}, append([]string{"--recipient=" + key.Recipient().String(), "--snapshot=50ms", "--snapshot-file"}, flags...))
	await.True(t, "the event kept", func() bool { return bytes.Contains(read(t, base+"/report"), []byte(`"kept"`)) })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL) // it has standard error open
	_ = cmd.Wait()
	left, err := filepath.Glob(cores + "/.snapshots-*")
	if err != nil || len(left) != 1 {
		t.Fatalf("%v, %v", left, err)
	}
	p.scan(t, "the file of snapshots", read(t, left[0]), expectation{})
	// The next has no key: what it finds stays encrypted.
	meminspect(t, append(append([]string{"run"}, flags...), "--", "true")...)
	found := coresIn(t, cores)
	if len(found) != 1 || !strings.HasSuffix(found[0], ".lost.core.age") {
		t.Fatalf("cores %v: %s", found, read(t, base+"/report"))
	}
	f, err := corefile.Open(found[0], corefile.OpenOptions{Identities: []age.Identity{key}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
	if err != nil || marks.Find(data, marks.Of("visible")) == "" || !bytes.Contains(data, []byte("taken at 20")) {
		t.Errorf("%v: the core lacks the value, or when it was taken", err)
	}
	p.scan(t, "the message", read(t, base+"/message"), expectation{})
	p.scan(t, "the report", read(t, base+"/report"), expectation{})
}

// posted starts a server that writes what is posted to it to a file, and returns
// its URL.
func posted(t *testing.T, path string) string {
	t.Helper()
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = io.Copy(f, r.Body)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// notified returns the notifications that were posted, or wait to be.
func notified(t *testing.T, base string) []byte {
	t.Helper()
	waiting, _ := filepath.Glob(base + "/cores/notify/*")
	data, err := os.ReadFile(base + "/posted")
	if err != nil && len(waiting) == 0 {
		t.Errorf("there is no notification: %v", err)
	}
	for _, path := range waiting {
		data = append(data, read(t, path)...)
	}
	return data
}

func coresIn(t *testing.T, dir string) []string {
	t.Helper()
	cores, err := filepath.Glob(filepath.Join(dir, "*.core*"))
	if err != nil {
		t.Fatal(err)
	}
	return cores
}

// What a program writes of itself has no private data.
func TestOwnCores(t *testing.T) {
	for _, b := range append(slices.Clip(builds), build{secret: true}) {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			p, dir := compile(t, b), t.TempDir()
			cmd, _ := p.start(t, nil, "own", dir)
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			found := 0
			err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				found++
				b.scan(t, strings.TrimPrefix(path, dir), read(t, path), expectation{may: []string{"visible", "logged", "tag"}})
				return nil
			})
			if err != nil || found < 4 {
				t.Fatalf("%d files, %v", found, err)
			}
		})
	}
}

// What a program writes as it dies has no excluded value, in the core, the
// termination message, the report and the copy of the text, unless the user wants
// it whole.
func TestCrashText(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another process' registers are read on amd64 only")
	}
	pin := binary.LittleEndian.Uint64(marks.Of("pin"))
	password := marks.Of("excluded variable")
	secrets := [][]byte{
		strconv.AppendUint(nil, pin, 10), strconv.AppendUint(nil, pin, 16), marks.Of("pin")[:8],
		password, fmt.Appendf(nil, "%x", password),
	}
	secrets = append(secrets, faultOf(pin)...)
	actions := []struct {
		action string
		kept   string // of the message
	}{
		{"panic-fault", "fatal-error\n"},
		{"panic-type", "panic: (" + path + ".pin)\n"},
		{"panic-argument", "panic: check failed\n"},
		{"panic-variable", "panic: [redacted]\n"},
		{"panic-wrapped", "panic: bad: [redacted]\n"},
		{"panic-quoted", "panic: bad: \"[redacted]\", [redacted]\n"},
	}
	tally := matrix.NewTally(t)
	for i, b := range textBuilds {
		var p program
		for k, c := range actions {
			for _, keep := range []bool{false, true} {
				if !full && i > 0 && (k != i || keep) {
					tally.Skip(1)
					continue
				}
				if p.path == "" {
					p = compile(t, b)
				}
				tally.Run(fmt.Sprint(b, ",", c.action, ",keep=", keep), func(t *testing.T) {
					t.Parallel()
					p.crashText(t, c.action, c.kept, keep, secrets)
				})
			}
		}
	}
}

// faultOf returns the forms of the address at which the program faults.
func faultOf(pin uint64) [][]byte {
	address := pin >> 17
	return [][]byte{strconv.AppendUint(nil, address, 16), binary.LittleEndian.AppendUint64(nil, address)}
}

// No text has the arguments, the registers or the address of the fault of a goroutine
// under package runtime/secret. The program has no exclusions. Its standard error has them.
func TestCrashTextOfSecrets(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another process' registers are read on amd64 only")
	}
	pin := binary.LittleEndian.Uint64(marks.Of("pin"))
	secrets := append(faultOf(pin), strconv.AppendUint(nil, pin, 16), marks.Of("pin")[:8])
	tally := matrix.NewTally(t)
	for i, b := range []build{{secret: true}, {secret: true, stripped: true}, {secret: true, cgo: true}, {secret: true, toolchain: "go1.27.3"}} {
		var p program
		for action, kept := range map[string]string{"secret-signal": "signal-sigquit\n", "secret-fault": "fatal-error\n"} {
			for _, mode := range []string{"--stacks=auto", "--stacks=full", "--strict", "--data"} {
				for _, keep := range []bool{false, true} {
					if !full && i > 0 && (action == "secret-signal" || mode == "--stacks=auto" || mode == "--strict" || keep) {
						tally.Skip(1)
						continue
					}
					if p.path == "" {
						p = compile(t, b)
					}
					tally.Run(fmt.Sprint(b, ",", action, ",", mode, ",keep=", keep), func(t *testing.T) {
						t.Parallel()
						p.crashText(t, action, kept, keep, secrets, "--stderr-tail=64KiB", mode)
					})
				}
			}
		}
	}
}

// textBuilds are the ways to build the program that dies.
var textBuilds = []build{
	{exclusions: true},
	{exclusions: true, stripped: true},
	{exclusions: true, cgo: true},
	{exclusions: true, cgo: true, library: true},
	{exclusions: true, toolchain: "go1.27.3"},
}

// crashText runs the program until it dies, and looks for secrets in all that is
// written. kept is the beginning of the redacted text.
func (p program) crashText(t *testing.T, action, kept string, keep bool, secrets [][]byte, flags ...string) {
	base := t.TempDir()
	cmd, _ := p.start(t, append(append([]string{
		tool, "run", "--json", "--dir", base + "/cores", "--report", base + "/report", "--message", base + "/message", "--crash-text", base + "/crash", "--notify", posted(t, base+"/posted"),
		fmt.Sprint("--keep-crash-text=", keep),
	}, flags...), "--"), action)
	_ = cmd.Wait()
	text := read(t, base+"/crash")
	if redacted := bytes.HasPrefix(text, []byte(kept)); redacted == (keep && action != "panic-argument") {
		t.Errorf("the text is %.200s", text)
	}
	cores := coresIn(t, base+"/cores")
	if len(cores) != 1 {
		t.Errorf("%d cores: %s", len(cores), read(t, base+"/report"))
	}
	files := map[string][]byte{"text": text, "report": read(t, base+"/report"), "message": read(t, base+"/message"), "notification": notified(t, base)}
	for _, core := range cores {
		files["core"] = read(t, core)
	}
	var found []string
	for name, data := range files {
		for _, secret := range secrets {
			if at := bytes.Index(data, secret); at >= 0 {
				found = append(found, fmt.Sprintf("%s at %d: %q", name, at, data[max(at-40, 0):min(at+60, len(data))]))
			}
		}
	}
	if keep != (len(found) > 0) {
		t.Errorf("excluded values are in %q", found)
	}
}

const path = "main"
