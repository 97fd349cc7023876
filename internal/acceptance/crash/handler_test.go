//go:build linux

package crash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/kernelcore"
)

// A dump is one end of which the kernel makes a core.
type dump struct {
	way     string
	signal  syscall.Signal // that ends it from outside, 0 = it ends by itself
	variant crasher.Variant

	reason string
	frames []string // of the thread that failed, in both debuggers
	trace  string   // in the traces of goroutines
	info   []string // in what is known of it
}

func dumps() []dump {
	var all []dump
	for _, v := range []crasher.Variant{crasher.Plain, crasher.PIE, crasher.Stripped} {
		all = append(all,
			dump{"panic", 0, v, "signal-sigabrt", []string{"runtime.raise", "runtime.gopanic", "main.main"}, "runtime.gopanic", []string{"panic-type: string", "goroutine: 1", "signal-code: SI_TKILL"}},
			dump{"nil", 0, v, "signal-sigabrt", []string{"runtime.raise", "runtime.sigpanic", "main.init.func"}, "runtime.sigpanic", []string{"panic-type: runtime.errorString", "goroutine: 1"}},
			dump{"wait", syscall.SIGABRT, v, "signal-sigabrt", []string{"runtime.raise", "runtime.sighandler"}, "main.wait", []string{"signal-code: SI_TKILL"}})
	}
	return append(all,
		dump{"cfault", 0, crasher.Cgo, "signal-sigabrt", []string{"runtime.raise", "runtime.sighandler", "fault", "runtime.asmcgocall"}, "main._Cfunc_fault", []string{"signal-code: SI_TKILL"}},
		dump{"cthreadfault", 0, crasher.Cgo, "signal-sigsegv", []string{"runtime.raise", "runtime.badsignal", "fault"}, "main._Cfunc_thread", []string{"signal-sender: process "}})
}

// As the kernel's handler of cores the command captures what is dumped, through
// /proc while the kernel waits, with the registers from the head of the kernel's
// core: the thread that failed shows in gdb and in Delve the frames that it shows
// in a core of the kernel's own. It changes a setting of the whole host, so it
// runs where it is asked for by MEMINSPECT_CORE_PATTERN=1.
func TestCoreHandler(t *testing.T) {
	handler := installable(t)
	for _, d := range dumps() {
		t.Run(string(d.variant)+"/"+d.way, func(t *testing.T) {
			program := crasher.Build(t, d.variant)
			full := kernelcore.Make(t, kernelcore.Default, d.signal, program, d.way)
			core := handler.take(t, d, program)
			checkValues(t, program, d.variant, core)
			info, err := command(t, "info", core)
			for _, want := range d.info {
				if err != nil || !bytes.Contains(info, []byte(want)) {
					t.Errorf("%v: no %q in\n%s", err, want, info)
				}
			}
			if bytes.Contains(info, []byte("remark")) {
				t.Errorf("something is amiss:\n%s", info)
			}
			exe := program
			if d.variant == crasher.Stripped {
				exe = crasher.Build(t, crasher.Plain) // debuggers need the symbols
			}
			if out, err := command(t, "goroutines", "--exe", program, core); err != nil || !bytes.Contains(out, []byte(d.trace)) {
				t.Errorf("%s is in no goroutine's trace: %v\n%s", d.trace, err, out)
			}
			for name, reports := range map[string]func(testing.TB, string, string, ...string) string{"gdb": debuggers.GDBSays, "Delve": debuggers.DelveSays} {
				got, want := frames(reports(t, exe, core, "bt")), frames(reports(t, exe, full, "bt"))
				// Which thread a signal from outside meets differs.
				if d.signal == 0 && !slices.Equal(got, want) {
					t.Errorf("%s shows\n%q, in the kernel's core\n%q", name, got, want)
				}
				for _, frame := range d.frames {
					if !slices.ContainsFunc(got, func(f string) bool { return strings.Contains(f, frame) }) {
						t.Errorf("%s shows no %s but %q", name, frame, got)
					}
				}
			}
		})
	}
}

// A program in a PID namespace of its own knows its threads by other numbers, and
// so does the kernel's core of it.
func TestCoreHandlerContainer(t *testing.T) {
	handler := installable(t)
	program := crasher.Build(t, crasher.Plain)
	// Not as the first process there, which SIGABRT does not end.
	inside := []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", `"$@"; exit $?`, "sh", program}
	core := handler.take(t, dump{way: "panic", variant: crasher.Plain, reason: "signal-sigabrt"}, inside...)
	checkValues(t, program, crasher.Plain, core)
	if got := frames(debuggers.DelveSays(t, program, core, "bt")); !slices.Contains(got, "runtime.gopanic") {
		t.Errorf("Delve shows %q", got)
	}
	out, err := exec.Command(tool(t), "goroutines", core).Output()
	if pid := strings.Split(filepath.Base(core), ".")[1]; err != nil || !strings.Contains(string(out), "goroutine 1 [running] (failed, thread "+pid+"):") {
		t.Errorf("%v: no goroutine 1 on thread %s in\n%s", err, pid, out)
	}
}

// The handler's messages are in the kernel's log, its only output.
func TestCoreHandlerSays(t *testing.T) {
	handler := installable(t)
	log, err := os.OpenFile("/dev/kmsg", os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Skip("the kernel's log: ", err)
	}
	defer log.Close()
	if _, err := log.Seek(0, io.SeekEnd); err != nil {
		t.Skip("the kernel's log: ", err)
	}
	core := handler.take(t, dump{way: "kill -ABRT $$", reason: "signal-sigabrt"}, "sh", "-c")
	want := fmt.Sprintf("meminspect: core-handler: process %s (sh) could not be read", strings.Split(filepath.Base(core), ".")[1])
	// And of the program what the kernel logs of any.
	if info, err := command(t, "info", core); err != nil || !bytes.Contains(info, []byte("signal-code: SI_USER")) || bytes.Contains(info, []byte("remark")) {
		t.Errorf("%v: %s", err, info)
	}
	check(t, log.SetReadDeadline(time.Now().Add(10*time.Second)))
	printed, record := "", make([]byte, 8192)
	for !strings.Contains(printed, want) {
		n, err := log.Read(record)
		if err != nil {
			t.Fatalf("%v: no %q in %s", err, want, printed)
		}
		printed += string(record[:n])
	}
}

// frames are the functions of a trace of gdb or Delve, up to where the runtime
// changes stacks: from there both guess, from words that are not in ours.
func frames(trace string) []string {
	var names []string
	for _, m := range frameLine.FindAllStringSubmatch(trace, -1) {
		name := m[1] + m[2]
		names = append(names, name)
		if slices.Contains([]string{"runtime.asmcgocall", "runtime.mcall", "runtime.systemstack"}, name) {
			break
		}
	}
	return slices.Compact(names)
}

var frameLine = regexp.MustCompile(`(?m)^(?:#\d+ +(?:0x[0-9a-f]+ in )?(\S.*?) \(|\s*\d+  0x[0-9a-f]+ in (\S+)$)`)

// An installed is the command as the kernel's handler, under a path that is short
// enough for the kernel.
type installed struct{ tool, cores, before string }

func installable(t *testing.T) *installed {
	t.Helper()
	if os.Getenv("MEMINSPECT_CORE_PATTERN") == "" || os.Getuid() != 0 {
		t.Skip("it changes the host's core_pattern, so it needs root and MEMINSPECT_CORE_PATTERN=1")
	}
	state, err := os.MkdirTemp("/tmp", "mi") //nolint:usetesting // t.TempDir is too long for core_pattern
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	h := &installed{filepath.Join(state, "mi"), filepath.Join(state, "c"), filepath.Join(state, "before")}
	if err := os.Link(tool(t), h.tool); err != nil {
		t.Fatal(err)
	}
	return h
}

// install makes the command the kernel's handler and returns what restores the
// setting.
func (h *installed) install(t *testing.T, flags ...string) (uninstall func()) {
	t.Helper()
	const setting = "/proc/sys/kernel/core_pattern"
	was := must(os.ReadFile(setting))
	restore := func() { check(t, os.WriteFile(setting, was, 0)) }
	t.Cleanup(restore)
	args := append([]string{"core-handler", "install", "--dir", h.cores, "--before", h.before}, flags...)
	if out, err := exec.Command(h.tool, args...).CombinedOutput(); err != nil || !bytes.Contains(out, bytes.TrimSpace(was)) {
		t.Fatalf("%v: %s", err, out)
	}
	return func() {
		t.Helper()
		defer restore()
		out, err := exec.Command(h.tool, "core-handler", "uninstall", "--before", h.before).CombinedOutput()
		if now := must(os.ReadFile(setting)); err != nil || !bytes.Equal(now, was) {
			t.Errorf("%v: %s; core_pattern is %s", err, out, now)
		}
	}
}

// take installs the handler, lets a program end, restores the setting and returns the
// core. The program's limit on the size of cores is 0, which counts for files alone.
func (h *installed) take(t *testing.T, d dump, program ...string) string {
	t.Helper()
	os.RemoveAll(h.cores)
	uninstall := h.install(t)
	defer uninstall()
	cmd := exec.Command("sh", append(append([]string{"-c", "ulimit -c 0; exec \"$@\"", "sh"}, program...), d.way)...)
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	printed, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if d.signal != 0 {
		must(printed.Read(make([]byte, 100)))
		cmd.Process.Signal(d.signal)
	}
	cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() && status.ExitStatus() < 128 {
		t.Fatalf("%s: %v", d.way, cmd.ProcessState)
	}
	var found []string
	await.True(t, "a core of "+d.reason, func() bool {
		found, _ = filepath.Glob(h.cores + "/*." + d.reason + ".core")
		return len(found) > 0
	})
	if len(found) != 1 {
		t.Fatalf("%s: cores %v", d.way, found)
	}
	return found[0]
}

// A process that cannot be captured leaves a record, or the kernel's core where
// that was asked for.
func TestCoreHandlerFallback(t *testing.T) {
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer sleep.Wait()
	defer sleep.Process.Kill()
	pid := strconv.Itoa(sleep.Process.Pid)
	for _, full := range []string{"--full=false", "--full=true"} {
		dir := t.TempDir()
		cmd := exec.Command(tool(t), "core-handler", "--dir", dir, full, pid, "11", "sleep")
		cmd.Stdin = strings.NewReader("the kernel's core")
		out, _ := cmd.CombinedOutput()
		found, _ := filepath.Glob(dir + "/sleep.*.signal-sigsegv.core")
		if cmd.ProcessState.ExitCode() != 3 || len(found) != 1 {
			t.Fatalf("%s: %v, %v: %s", full, cmd.ProcessState, found, out)
		}
		data, _ := os.ReadFile(found[0])
		if kernels := string(data) == "the kernel's core"; kernels != (full == "--full=true") {
			t.Errorf("%s: %d bytes", full, len(data))
		}
	}
}

// Of a Go process that cannot be read, here since it is gone, the kernel's core
// on standard input is filtered; where even that fails it is kept, whole, if
// that was asked for.
func TestCoreHandlerFilters(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	full := kernelcore.Make(t, kernelcore.Default, syscall.SIGABRT, program, "wait")
	whole, err := os.ReadFile(full)
	if err != nil {
		t.Fatal(err)
	}
	const gone = "4194304" // the kernel gives no such number
	handle := func(stdin []byte, flags ...string) (string, *exec.Cmd) {
		dir := t.TempDir()
		cmd := exec.Command(tool(t), append(append([]string{"core-handler", "--dir", dir}, flags...), gone, "6", "crasher")...)
		cmd.Stdin = bytes.NewReader(stdin)
		out, _ := cmd.CombinedOutput()
		t.Logf("%s", out)
		found, _ := filepath.Glob(dir + "/*")
		found = slices.DeleteFunc(found, func(f string) bool { base := filepath.Base(f); return base == ".lock" || base == ".limits.json" })
		if len(found) > 1 {
			t.Fatalf("left: %v", found)
		}
		if len(found) == 0 {
			return "", cmd
		}
		return found[0], cmd
	}
	for _, flags := range [][]string{{"--full=false"}, {"--full=true"}} {
		core, cmd := handle(whole, flags...)
		if cmd.ProcessState.ExitCode() != 0 || !strings.HasSuffix(core, ".signal-sigabrt.core") {
			t.Fatalf("%v: %s", cmd.ProcessState, core)
		}
		checkValues(t, program, crasher.Plain, core)
		if info, err := os.Stat(core); err != nil || info.Size() > int64(len(whole))/10 {
			t.Errorf("%v, %d bytes", err, info.Size())
		}
	}
	head := whole[:300] // not even all headers
	if core, cmd := handle(head); core != "" || cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("of a core's head: %v, %s", cmd.ProcessState, core)
	}
	core, cmd := handle(head, "--full")
	if kept, _ := os.ReadFile(core); cmd.ProcessState.ExitCode() != 3 || !bytes.Equal(kept, head) {
		t.Errorf("of a core's head, which is to be kept: %v, %d bytes", cmd.ProcessState, len(kept))
	}
}

// A handler that is killed while it copies the kernel's core leaves no file: the
// copy has no name at any time.
func TestKilledHandlerLeavesNoCopy(t *testing.T) {
	dir := t.TempDir()
	if f, err := os.OpenFile(dir, unix.O_TMPFILE|os.O_RDWR, 0o600); err != nil {
		t.Skip("the file system has no files without a name: ", err)
	} else {
		f.Close()
	}
	watch := must(unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC))
	defer unix.Close(watch)
	must(unix.InotifyAddWatch(watch, dir, unix.IN_CREATE|unix.IN_MOVED_TO))
	const gone = "4194304" // the kernel gives no such number
	cmd := exec.Command(tool(t), "core-handler", "--dir", dir, gone, "6", "crasher")
	in := must(cmd.StdinPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	const size = 4 << 20
	if _, err := in.Write(append([]byte("\x7fELF"), bytes.Repeat([]byte("core"), size/4)...)); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the handler has a copy and waits for more", func() bool { return copies(t, cmd.Process.Pid, dir, size) })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	own := []string{".lock", ".limits.json"}
	for _, e := range must(os.ReadDir(dir)) {
		if !slices.Contains(own, e.Name()) {
			t.Errorf("%s is left", e.Name())
		}
	}
	events := make([]byte, 64<<10)
	n, _ := unix.Read(watch, events)
	for events = events[:max(n, 0)]; len(events) > 0; {
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		name := strings.TrimRight(string(events[unix.SizeofInotifyEvent:end]), "\x00")
		if !slices.Contains(own, name) && !strings.HasPrefix(name, ".limits.json") {
			t.Errorf("there was a file %s", name)
		}
		events = events[end:]
	}
}

// copies reports whether a process has an open file without a name in dir, of at
// least half of size bytes: it writes them in large pieces.
func copies(t *testing.T, pid int, dir string, size int64) bool {
	t.Helper()
	fds := fmt.Sprintf("/proc/%d/fd", pid)
	for _, e := range must(os.ReadDir(fds)) {
		fd := filepath.Join(fds, e.Name())
		if target, _ := os.Readlink(fd); !strings.HasPrefix(target, dir+"/") || !strings.HasSuffix(target, " (deleted)") {
			continue
		}
		if info, err := os.Stat(fd); err == nil && info.Size() >= size/2 {
			return true
		}
	}
	return false
}

// The kernel is let go, and the process with it, as soon as the process has been
// read: what takes the core may take its time.
func TestCoreHandlerLetsGo(t *testing.T) {
	program := exec.Command(crasher.Build(t, crasher.Plain), "wait")
	printed := must(program.StdoutPipe())
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer program.Wait()
	defer program.Process.Kill()
	must(printed.Read(make([]byte, 100)))
	dir := t.TempDir()
	taken, done := filepath.Join(dir, "taken"), filepath.Join(dir, "done")
	slow := fmt.Sprintf("exec:sh -c 'cat >%s; while [ ! -e %s ]; do sleep 0.02; done'", taken, done)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	cmd := exec.Command(tool(t), "core-handler", "--dir", dir, "--to", slow, strconv.Itoa(program.Process.Pid), "6", "crasher")
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	// As the kernel does: more than the pipe holds.
	check(t, w.SetWriteDeadline(time.Now().Add(20*time.Second)))
	for err == nil {
		_, err = w.Write(make([]byte, 1<<20))
	}
	check(t, os.WriteFile(done, nil, 0o600))
	if werr := cmd.Wait(); !errors.Is(err, syscall.EPIPE) || werr != nil {
		t.Errorf("the kernel was held: %v; %v", err, werr)
	}
	checkValues(t, program.Path, crasher.Plain, taken)
}

// Of the core that the kernel makes of a panic, the filtered one shows the panic's
// type and the goroutine that failed, down to what it did, though its thread has
// died in a handler of signals.
func TestFilterOfAPanic(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the kernel's frame of a signal is read on amd64 alone")
	}
	for _, variant := range []crasher.Variant{crasher.Plain, crasher.PIE, crasher.Stripped, crasher.Cgo} {
		program := crasher.Build(t, variant)
		full := kernelcore.Make(t, kernelcore.Default, 0, program, "panic")
		small := filepath.Join(t.TempDir(), "small.core")
		for _, c := range []struct{ args, want []string }{
			{[]string{"filter", full, "-o", small}, []string{small}},
			{[]string{"info", small}, []string{"signal-sigabrt", "panic-type: string", "goroutine: 1"}},
			{[]string{"goroutines", small}, []string{"goroutine 1 [running", "] (failed", "runtime.gopanic", "main.main"}},
		} {
			out, err := exec.Command(tool(t), c.args...).Output()
			for _, want := range c.want {
				if err != nil || !strings.Contains(string(out), want) {
					t.Errorf("%s: %v: no %q (%v) in\n%.1000s", variant, c.args, want, err, out)
				}
			}
		}
		checkValues(t, program, variant, small)
	}
}

// Of a thread that C started, which a signal met in its first function, the
// filtered core has each frame, up to where the thread began, and none of the
// thread-local variables next to them.
func TestFilterOfACThread(t *testing.T) {
	program := crasher.Build(t, crasher.Cgo)
	full := kernelcore.Make(t, kernelcore.Default, 0, program, "cthreadfault")
	secret := make([]byte, 64) // as the program computes it
	for i := range secret {
		secret[i] = byte(i*37 + 11)
	}
	if !bytes.Contains(must(os.ReadFile(full)), secret) {
		t.Fatal("the kernel's core has no thread-local variables")
	}
	want := frames(debuggers.GDBSays(t, program, full, "bt"))
	if len(want) == 0 || slices.Index(want, "fault") == len(want)-1 {
		t.Fatalf("gdb shows of the kernel's core %q", want)
	}
	for _, stacks := range []string{"skeleton", "full"} {
		small := filepath.Join(t.TempDir(), "small.core")
		if out, err := command(t, "filter", "--stacks="+stacks, full, "-o", small); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got := frames(debuggers.GDBSays(t, program, small, "bt")); !slices.Equal(got, want) {
			t.Errorf("--stacks=%s: gdb shows\n%q, of the kernel's core\n%q", stacks, got, want)
		}
		if bytes.Contains(must(os.ReadFile(small)), secret) {
			t.Errorf("--stacks=%s: the core has a thread-local variable", stacks)
		}
	}
}
