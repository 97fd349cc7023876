//go:build linux

package crash

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/kernelcore"
)

// As the kernel's handler of cores the command captures what is dumped, through
// /proc while the kernel waits. It changes a setting of the whole host, so it
// runs where it is asked for by MEMINSPECT_CORE_PATTERN=1.
func TestCoreHandler(t *testing.T) {
	if os.Getenv("MEMINSPECT_CORE_PATTERN") == "" || os.Getuid() != 0 {
		t.Skip("it changes the host's core_pattern, so it needs root and MEMINSPECT_CORE_PATTERN=1")
	}
	state, err := os.MkdirTemp("/tmp", "mi")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	// The kernel takes 127 bytes.
	meminspect := filepath.Join(state, "mi")
	if err := os.Link(tool(t), meminspect); err != nil {
		t.Fatal(err)
	}
	cores, before := filepath.Join(state, "c"), filepath.Join(state, "before")
	was, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile("/proc/sys/kernel/core_pattern", was, 0)
	if out, err := exec.Command(meminspect, "core-handler", "install", "--dir", cores, "--before", before).CombinedOutput(); err != nil || !bytes.Contains(out, bytes.TrimSpace(was)) {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range []struct {
		variant crasher.Variant
		way     string
		reason  string
	}{{crasher.Plain, "panic", "signal-sigabrt"}, {crasher.Cgo, "cthreadfault", "signal-sigsegv"}} {
		program := crasher.Build(t, c.variant)
		// The test's own limit on cores may be nil; the kernel wants another.
		cmd := exec.Command("sh", "-c", "ulimit -c unlimited; exec \"$@\"", "sh", program, c.way)
		cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
		cmd.Run()
		if !cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
			t.Fatalf("%s: %v", c.way, cmd.ProcessState)
		}
		var found []string
		for end := time.Now().Add(10 * time.Second); len(found) == 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			found, _ = filepath.Glob(cores + "/*." + c.reason + ".core")
		}
		if len(found) != 1 {
			t.Fatalf("%s: cores %v", c.way, found)
		}
		checkValues(t, program, c.variant, found[0])
		if out, err := command(t, "info", found[0]); c.way == "panic" && (err != nil || !bytes.Contains(out, []byte("panic-type: string"))) {
			t.Errorf("it does not say what panicked: %v: %s", err, out)
		}
	}
	out, err := exec.Command(meminspect, "core-handler", "uninstall", "--before", before).CombinedOutput()
	now, _ := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil || !bytes.Equal(now, was) {
		t.Errorf("%v: %s; core_pattern is %s", err, out, now)
	}
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
			t.Fatalf("left behind: %v", found)
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
			{[]string{"goroutines", small}, []string{"goroutine 1 [running", "runtime.gopanic", "main.main"}},
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
