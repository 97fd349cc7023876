package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/damage"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Files that programs, kernels and debuggers write are damaged in every place,
// and every command that reads them still ends, in bounded time and memory,
// with clean output and a valid exit status.

// A fileKind is a kind of file that commands read.
type fileKind struct {
	name     string
	files    []string // one of them is damaged at a time
	commands []string // arguments, separated by spaces
	slow     bool     // a round takes a second
}

// Bounds of one command on one of the files here, none of which is larger than
// 10 MB.
const (
	maxCPU   = 5 * time.Second
	maxWall  = 10 * time.Minute // of a command that waits: a busy machine delays one, too
	maxAlloc = 1 << 30          // bytes, garbage included
)

// TestHostileFiles runs each command that reads files with damaged ones.
func TestHostileFiles(t *testing.T) {
	kinds := fileKinds(t)
	needAllReaders(t, kinds)
	t.Run("headers", func(t *testing.T) { lyingHeaders(t, kinds) })
	t.Run("mutations", func(t *testing.T) { mutate(t, kinds) })
}

// mutate damages random places.
func mutate(t *testing.T, kinds []fileKind) {
	mutations := matrix.Choose(300, 10_000)
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("MEMINSPECT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	rounds := roundsOf(kinds, mutations)
	for i, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			h := newHostile(t, k)
			for round := range rounds[i] {
				h.round(t, rand.New(rand.NewPCG(seed, uint64(round))), fmt.Sprintf("seed %d, round %d", seed, round))
			}
			t.Logf("%d mutations, %d runs of commands, %d of them held", rounds[i], h.runs, h.held)
		})
	}
}

// roundsOf shares mutations out among kinds of files, so that there are at least as
// many in total. A slow kind gets a fiftieth of the share of another.
func roundsOf(kinds []fileKind, mutations int) []int {
	rounds := make([]int, len(kinds))
	shares := 0
	for _, k := range kinds {
		if shares += 50; k.slow {
			shares -= 49
		}
	}
	for i, k := range kinds {
		share := 50
		if k.slow {
			share = 1
		}
		rounds[i] = (mutations*share + shares - 1) / shares
	}
	return rounds
}

// lyingHeaders makes segments claim more than the file contains, or all share
// the same bytes of it: no command searches memory that does not exist, nor all
// of the file for each segment.
func lyingHeaders(t *testing.T, kinds []fileKind) {
	for _, k := range kinds {
		core := k.files[0]
		original, err := os.ReadFile(core)
		if err != nil {
			t.Fatal(err)
		}
		if core, err := elfcore.Open(bytes.NewReader(original), int64(len(original))); err != nil || len(core.Loads) == 0 {
			continue // not a core in the clear
		}
		t.Run(k.name, func(t *testing.T) {
			h := newHostile(t, k)
			loads := loadHeaders(original)
			for _, size := range []uint64{1 << 40, 1 << 46, 1 << 62} {
				for _, at := range []int{loads[0], loads[len(loads)/2], loads[len(loads)-1]} {
					lying := slices.Clone(original)
					binary.LittleEndian.PutUint64(lying[at+32:], size) // p_filesz
					binary.LittleEndian.PutUint64(lying[at+40:], size) // p_memsz
					h.try(t, core, lying, fmt.Sprintf("segment header at %d claims %#x bytes", at, size))
				}
			}
			for _, at := range []int{loads[0], largest(original, loads)} {
				// Without the build information where it belongs, all memory is searched.
				vast := bytes.ReplaceAll(original, []byte("\xff Go buildinf:"), make([]byte, 14))
				binary.LittleEndian.PutUint64(vast[at+40:], 1<<40) // p_memsz
				h.try(t, core, vast, fmt.Sprintf("segment header at %d claims memory that is not in the file", at))
			}
			shared := slices.Clone(original)
			for i, at := range loads {
				le := binary.LittleEndian
				le.PutUint64(shared[at+8:], 0)                      // p_offset
				le.PutUint64(shared[at+16:], uint64(i+1)<<32)       // p_vaddr
				le.PutUint64(shared[at+32:], uint64(len(original))) // p_filesz
			}
			h.try(t, core, shared, "all segments have all bytes of the file")
		})
	}
}

// largest returns the header of the segment with the most bytes in the file.
func largest(core []byte, loads []int) int {
	return slices.MaxFunc(loads, func(a, b int) int {
		return cmp.Compare(binary.LittleEndian.Uint64(core[a+32:]), binary.LittleEndian.Uint64(core[b+32:]))
	})
}

// loadHeaders returns the offsets of a core's PT_LOAD headers.
func loadHeaders(core []byte) []int {
	le := binary.LittleEndian
	var loads []int
	for i := range int(le.Uint16(core[56:])) {
		if at := int(le.Uint64(core[32:])) + 56*i; le.Uint32(core[at:]) == 1 {
			loads = append(loads, at)
		}
	}
	return loads
}

// needAllReaders fails if a command that reads files is not tested.
func needAllReaders(t *testing.T, kinds []fileKind) {
	t.Helper()
	tried := map[string]bool{}
	for _, k := range kinds {
		for _, line := range k.commands {
			if cmd, _, err := rootCommand().Find(strings.Fields(line)); err == nil {
				tried[verbOf(cmd)] = true
			}
		}
	}
	if len(kinds) == 0 {
		return
	}
	others := []string{"minidump export", "rm"} // of a process; of names
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if !c.HasSubCommands() && !tried[verbOf(c)] && !slices.Contains(others, verbOf(c)) {
			t.Errorf("%s is not tried with damaged files", verbOf(c))
		}
	}
	for _, c := range rootCommand().Commands() {
		if c.GroupID == groupRead || c.GroupID == groupFormats {
			walk(c)
		}
	}
}

// A hostile runs the commands of one kind of file.
type hostile struct {
	kind     fileKind
	original map[string][]byte
	sound    map[string]result // the commands' output for undamaged files

	runs, held int // of commands with damaged files
}

func newHostile(t *testing.T, k fileKind) *hostile {
	t.Helper()
	h := &hostile{kind: k, original: map[string][]byte{}, sound: map[string]result{}}
	for _, path := range k.files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		h.original[path] = b
	}
	for _, line := range k.commands {
		r, err := execute(strings.Fields(line))
		if err == nil {
			err = r.check(line)
		}
		if err != nil {
			t.Errorf("%s, of a sound file: %v", line, err)
		}
		h.sound[line] = r
	}
	return h
}

// round damages one of the files.
func (h *hostile) round(t *testing.T, r *rand.Rand, label string) {
	t.Helper()
	path := h.kind.files[r.IntN(len(h.kind.files))]
	h.try(t, path, damage.File(h.original[path], r), label)
}

// try runs the commands with other contents of a file, and restores it.
func (h *hostile) try(t *testing.T, path string, contents []byte, label string) {
	t.Helper()
	mode := os.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode()
	}
	if err := os.WriteFile(path, contents, mode); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.WriteFile(path, h.original[path], mode); err != nil {
			t.Fatal(err)
		}
	}()
	for _, line := range h.kind.commands {
		r, err := execute(strings.Fields(line))
		if err == nil {
			err = r.check(line)
		}
		if h.runs++; err == nil {
			h.held++
		}
		if err != nil {
			kept := filepath.Join(t.ArtifactDir(), filepath.Base(path))
			t.Errorf("%s: meminspect %s: %v (the damaged file, with go test -artifacts: %s)", label, line, err, kept)
			if err := os.WriteFile(kept, contents, 0o600); err != nil {
				t.Error(err)
			}
		}
		if r.hangs {
			t.FailNow() // it still runs
		}
	}
}

// A result is what a command did.
type result struct {
	status         int
	stdout, stderr string
	hangs          bool
}

// execute runs a command line in this process, within the bounds.
func execute(args []string) (result, error) {
	type end struct {
		result
		panicked error
	}
	done := make(chan end, 1)
	var stdout, stderr bytes.Buffer
	allocated, used, began := allocations(), cpuTime(), time.Now()
	go func() {
		var e end
		defer func() {
			if p := recover(); p != nil {
				e.panicked = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
			done <- e
		}()
		e.status = run(context.Background(), args, strings.NewReader(""), &stdout, &stderr)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case e := <-done:
			e.stdout, e.stderr = stdout.String(), stderr.String()
			if e.panicked != nil {
				return e.result, e.panicked
			}
			if n := cpuTime() - used; n > maxCPU {
				return e.result, fmt.Errorf("used the processor for %v", n)
			}
			if n := allocations() - allocated; n > maxAlloc {
				return e.result, fmt.Errorf("allocated %d bytes", n)
			}
			return e.result, nil
		case <-tick.C:
			if n := cpuTime() - used; n > 2*maxCPU || time.Since(began) > maxWall {
				stacks := make([]byte, 1<<20)
				return result{hangs: true}, fmt.Errorf("no end after %v, %v of the processor\n%s", time.Since(began), n, stacks[:runtime.Stack(stacks, true)])
			}
		}
	}
}

func allocations() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail with these arguments
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// check returns what is wrong with a result, whatever the file contains.
func (r *result) check(line string) error {
	switch failed := strings.Contains(r.stderr, "meminspect: "); {
	case r.status < exitDone || r.status > exitPartial:
		return fmt.Errorf("exit status %d", r.status)
	case r.status == exitUsage && !failed:
		return errors.New("exit status 2 without an error message")
	}
	for name, text := range map[string]string{"stdout": r.stdout, "stderr": r.stderr} {
		if err := clean(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if !strings.Contains(line, " --json") {
		return nil
	}
	for d := json.NewDecoder(strings.NewReader(r.stdout)); ; {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("invalid JSON: %w\n%s", err, r.stdout)
		}
	}
}

// clean returns an error if text would do more to a terminal than show
// characters in order.
func clean(text string) error {
	for i, c := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case c == '\n' || c == '\t':
		case c == utf8.RuneError && size == 1, unicode.IsControl(c), unicode.Is(unicode.Bidi_Control, c), c == '\u2028', c == '\u2029':
			return fmt.Errorf("byte %d is %q: %q", i, c, text[max(0, i-80):min(len(text), i+20)])
		}
	}
	return nil
}

// fileKinds makes one file of each kind.
func fileKinds(t *testing.T) []fileKind {
	t.Helper()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must := func(args ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if status := run(context.Background(), args, strings.NewReader(""), &stdout, &stderr); status != exitDone && status != exitPartial {
			t.Fatalf("meminspect %s: exit status %d\n%s", strings.Join(args, " "), status, stderr.String())
		}
	}
	cores := func(path string) []string {
		return []string{
			"info " + path, "info --json " + path, "info --vmcoreinfo " + path, "regions " + path, "regions --json " + path,
			"print " + path, "print " + path + " main.last.Tail[*] len(main.text)", "print --json --depth -1 --elements -1 --bytes -1 " + path, "goroutines " + path, "goroutines --json " + path,
			"report " + path, "report --json " + path, "report --format markdown " + path, "waits " + path, "waits --json " + path, "find " + path + " 42", "find --json " + path + " 0x1000", "diff " + path + " " + path, "diff --json " + path + " " + path, "debug --vscode " + path, "shell " + path, "view --html - " + path, "view --html - " + path + " " + path,
			"log " + path, "log --json " + path, "scan --json " + path + " Pattern-not-there", "heap --json " + path,
			"filter -o " + in("filtered") + " " + path,
		}
	}
	kinds := []fileKind{}
	add := func(name, path string, commands ...string) {
		kinds = append(kinds, fileKind{name: name, files: []string{path}, commands: commands})
	}

	// What a program writes itself, and what is read from it while it runs.
	program := build(t, in("backends"), "./internal/acceptance/testdata/backends")
	if err := os.Mkdir(in("out"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, in("out"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	waitForFile(t, in("out/ready"))
	pid := strconv.Itoa(cmd.Process.Pid)
	add("self-written core", in("out/core"), cores(in("out/core"))...)
	add("log ring", in("out/ring"), "log --file "+in("out/ring"), "log --json --file "+in("out/ring"))
	add("pstore", in("out/pstore"), "pstore show "+in("out/pstore"), "pstore show --json "+in("out/pstore"), "log --pstore "+in("out/pstore"), "log --json --pstore "+in("out/pstore"))
	add("kinfo", in("out/kinfo"), "kinfo show "+in("out/kinfo"), "kinfo show --json "+in("out/kinfo"))
	must("minidump", "export", "--pid", pid, in("files"))
	exported, err := filepath.Glob(in("files/*"))
	if err != nil || len(exported) == 0 {
		t.Fatalf("minidump export: %v, %v", exported, err)
	}
	kinds = append(kinds, fileKind{"minidump", exported, []string{"minidump assemble -o " + in("assembled") + " " + in("files")}, false})

	// Captures, in every form.
	must("capture", "--heap", pid, "-o", in("captured.core"))
	add("captured core", in("captured.core"), cores(in("captured.core"))...)
	must("capture", pid, "--compress", "-o", in("captured.core.zst"))
	add("compressed core", in("captured.core.zst"), cores(in("captured.core.zst"))...)
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("key"), []byte(key.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(identityVariable, in("key"))
	for _, form := range []corefile.Form{{Recipients: []age.Recipient{key.Recipient()}}, {Compress: true, Recipients: []age.Recipient{key.Recipient()}}} {
		path := in("captured.core" + form.Suffix())
		plain, err := os.ReadFile(in("captured.core"))
		if err != nil {
			t.Fatal(err)
		}
		if err := corefile.Save(path, form, corefile.From(bytes.NewReader(plain))); err != nil {
			t.Fatal(err)
		}
		add("core"+form.Suffix(), path, cores(path)...)
	}
	must("heap", "--json", "--pprof", in("heap.pb.gz"), pid)
	report, err := execute([]string{"heap", "--json", pid})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("heap.json"), []byte(report.stdout), 0o600); err != nil {
		t.Fatal(err)
	}

	// A core of all memory, and reports of its heap.
	if full := fullCore(t, in("full.core"), pid); full {
		add("full core", in("full.core"), cores(in("full.core"))...)
		for _, old := range []string{"heap.json", "heap.pb.gz"} {
			add("heap report "+filepath.Ext(old), in(old), "heap --diff "+in(old)+" "+in("full.core"), "heap --json --diff "+in(old)+" "+in("full.core"))
		}
	}

	// A supervised crash: many goroutines, a crash text.
	crashing := crasher.Build(t, crasher.Plain)
	t.Cleanup(crasher.Clean)
	capture := exec.Command(os.Args[0], "run", "--quiet", "--dir", in("cores"), "--", crashing, "panic")
	capture.Args[0] = "meminspect"
	_ = capture.Run() // ends as the program does
	crashed, err := filepath.Glob(in("cores/*.panic.core"))
	if err != nil || len(crashed) != 1 {
		t.Fatalf("cores of a panic: %v, %v", crashed, err)
	}
	add("core of a panic", crashed[0], append(cores(crashed[0]), "list --dir "+in("cores"), "list --group --dir "+in("cores"), "list --json --dir "+in("cores"))...)

	// Build-time files: an executable with its tables, source, a ledger.
	must("link", "--embed", program)
	add("executable", program, "link "+program, "link --json "+program, "link --layout "+program, "link --forecast "+program)
	module := in("module")
	if err := os.CopyFS(module, os.DirFS(filepath.Join(repository, "testdata/producer/shop"))); err != nil {
		t.Fatal(err)
	}
	ledger := filepath.Join(module, "store/meminspect.ids")
	kinds = append(kinds, fileKind{"ledger", []string{ledger}, []string{"ids ./...", "ids --json ./...", "generate --check ./..."}, true})
	source := filepath.Join(module, "plain", "plain.go")
	if err := errors.Join(os.Mkdir(filepath.Dir(source), 0o777), os.WriteFile(source, []byte(plainSource), 0o666)); err != nil {
		t.Fatal(err)
	}
	kinds = append(kinds, fileKind{"source", []string{source}, []string{"suggest ./plain", "suggest --json ./plain", "suggest --write ./plain"}, true})
	t.Chdir(module)
	return kinds
}

// plainSource is a package that suggest has proposals for.
const plainSource = `package plain

import "sync"

var (
	mu       sync.Mutex
	sessions = map[string]*session{}
)

type session struct {
	User, Token string
}

// Handle adds a session.
func (s *session) Handle() {
	mu.Lock()
	defer mu.Unlock()
	sessions[s.User] = s
}
`

// A signal ends a reading command by its default action, whatever it waits for.
func TestSignalsEndReaders(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	for _, line := range []string{
		"info PIPE", "regions PIPE", "print PIPE", "find PIPE 1", "diff PIPE PIPE", "goroutines PIPE", "log PIPE", "log --file PIPE", "log --pstore PIPE",
		"scan PIPE Pattern-not-there", "scan - Pattern-not-there", "heap PIPE", "heap --diff PIPE 1", "filter -o OUT PIPE", "filter -o OUT -",
		"kinfo show PIPE", "pstore show PIPE", "PIPE", "report PIPE", "waits PIPE", "shell PIPE", "view --no-browser PIPE", "debug PIPE",
	} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(line+" "+sig.String(), func(t *testing.T) {
				t.Parallel()
				own := pipe + strconv.Itoa(int(sig)) + strings.ReplaceAll(line, " ", "_")
				if err := syscall.Mkfifo(own, 0o600); err != nil {
					t.Fatal(err)
				}
				args := strings.Fields(strings.NewReplacer("PIPE", own, "OUT", filepath.Join(dir, "out")).Replace(line))
				cmd := exec.Command(os.Args[0], args...)
				cmd.Args[0] = "meminspect"
				if slices.Contains(args, "-") {
					in, err := os.OpenFile(own, os.O_RDWR, 0)
					if err != nil {
						t.Fatal(err)
					}
					defer in.Close()
					cmd.Stdin = in
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				waitUntilReads(t, cmd.Process.Pid, own)
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				cmd.Wait()
				if got := cmd.ProcessState.Sys().(syscall.WaitStatus); !got.Signaled() || got.Signal() != sig {
					t.Errorf("it ended with status %#x", got)
				}
			})
		}
	}
}

// A signal ends a reading command at whatever moment of its start it arrives: none
// is lost while the command prepares.
func TestSignalsAtAnyMoment(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	begin := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "print", pipe)
		cmd.Args[0] = "meminspect"
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	started := time.Now()
	cmd := begin()
	waitUntilReads(t, cmd.Process.Pid, pipe)
	took := time.Since(started)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	rounds := matrix.Choose(40, 1000)
	for i := range rounds {
		sig := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM}[i%2]
		cmd := begin()
		for moment := time.Now().Add(took * time.Duration(i) / time.Duration(rounds)); time.Now().Before(moment); {
			runtime.Gosched()
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		lost := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		lost.Stop()
		if got := cmd.ProcessState.Sys().(syscall.WaitStatus); !got.Signaled() || got.Signal() != sig {
			t.Fatalf("round %d of %d: it ended with status %#x, want %v", i, rounds, got, sig)
		}
	}
}

// waitUntilReads gives a process a named pipe to open that has a writer, and waits
// until it has opened it, or reads it as standard input.
func waitUntilReads(t *testing.T, pid int, pipe string) {
	t.Helper()
	writer, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { writer.Close() })
	await.True(t, fmt.Sprintf("process %d opens %s", pid, pipe), func() bool {
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		return slices.ContainsFunc(fds, func(fd string) bool {
			target, _ := os.Readlink(fd)
			return target == pipe && (filepath.Base(fd) != "0" || readsStdin(pid))
		})
	})
}

// readsStdin reports whether a thread of a process is in read(0, …).
func readsStdin(pid int) bool {
	calls, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	return slices.ContainsFunc(calls, func(path string) bool {
		call, _ := os.ReadFile(path)
		return strings.HasPrefix(string(call), fmt.Sprintf("%d 0x0 ", syscall.SYS_READ))
	})
}

func build(t *testing.T, output, pkg string) string {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", output, pkg)
	cmd.Dir = repository
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return output
}

func waitForFile(t *testing.T, path string) {
	t.Helper()
	await.True(t, "file "+path, func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() > 0
	})
}

// fullCore makes gdb write a core of all memory, and removes large untouched
// memory from it. It reports false if there is no gdb.
func fullCore(t *testing.T, path, pid string) bool {
	t.Helper()
	gcore, err := debuggers.Find("gcore")
	if err != nil {
		t.Log(err)
		return false
	}
	whole := path + "." + pid
	defer os.Remove(whole)
	if out, err := exec.Command(gcore, "-o", path, pid).CombinedOutput(); err != nil {
		t.Fatalf("gcore: %v\n%s", err, out)
	}
	f, err := os.Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	full, err := elfcore.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	small := elfcore.Core{Machine: full.Machine, Notes: full.Notes}
	for i := range full.Loads {
		l := &full.Loads[i]
		if l.FileSize == 0 || l.FileSize > 8<<20 {
			continue
		}
		b := make([]byte, l.FileSize)
		if _, err := full.ReadMemory(l.Addr, b); err != nil {
			t.Fatal(err)
		}
		small.Segments = append(small.Segments, elfcore.Segment{Addr: l.Addr, Size: l.FileSize, Flags: l.Flags, Content: elfcore.Bytes(b)})
	}
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := small.Write(out); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return true
}
