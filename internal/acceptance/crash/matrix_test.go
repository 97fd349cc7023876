//go:build linux

package crash

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/matrix"
)

// A crash is one cause of death and what must be known of it afterwards.
type crash struct {
	way    string
	reason string // in the core's name
	frame  string // of the goroutine that failed, in Delve's trace
	exit   bool   // seen by the exit stop alone
	signal bool   // that any thread may take, so that no goroutine failed

	only []crasher.Variant // that it happens in, nil = all
}

var crashes = []crash{
	{way: "panic", reason: "panic", frame: "runtime.gopanic"},
	{way: "panic-error", reason: "panic", frame: "runtime.gopanic"},
	{way: "panic-goexit", reason: "panic", frame: "runtime.gopanic"},
	{way: "nil", reason: "nil-dereference", frame: "runtime.sigpanic"},
	{way: "throw", reason: "fatal-error", frame: "main."},
	{way: "map", reason: "concurrent-map", frame: "main.concurrentMapWrites"},
	// Go finds deadlocks only if no C code and no race detector might wake a
	// goroutine.
	{way: "deadlock", reason: "deadlock", frame: "runtime.", only: []crasher.Variant{crasher.Plain, crasher.PIE, crasher.Stripped}},
	{way: "stack", reason: "stack-overflow", frame: "main.recurse"},
	{way: "oom", reason: "out-of-memory", frame: "main.outOfMemory", only: []crasher.Variant{crasher.Plain, crasher.PIE, crasher.Stripped, crasher.Cgo}},
	{way: "sigquit", reason: "signal-sigquit", frame: "main.suicide", signal: true},
	{way: "sigabrt", reason: "signal-sigabrt", frame: "main.suicide", signal: true},
	{way: "cfault", reason: "signal-sigsegv", frame: "_Cfunc_fault", only: []crasher.Variant{crasher.Cgo}},
	{way: "sigkill", reason: "signal-sigkill", frame: "main.suicide", exit: true},
	{way: "sigterm", reason: "signal-sigterm", frame: "main.suicide", exit: true},
	{way: "exit3", reason: "exit-3", frame: "os.Exit", exit: true},
	{way: "cthreadfault", reason: "signal-sigsegv", exit: true, only: []crasher.Variant{crasher.Cgo}},
}

// A surrounding is where the program runs.
type surrounding struct {
	name  string
	wrap  []string // put before the command
	flags []string // of meminspect run
	root  bool     // needs to be root to set up
	// filter runs it under a seccomp filter that forbids to trace and to read
	// other processes.
	filter bool
	// monitor has the program start its collector itself.
	monitor bool
	// ends reports whether the exit stop works there.
	ends bool
	// record is set if the program's memory cannot be read, so that a record of
	// what is known is all there can be.
	record bool
}

var surroundings = []surrounding{
	{name: "run", ends: true},
	{name: "no-exit-stop", flags: []string{"--exit-stop=off"}},
	{name: "monitor", monitor: true, ends: true},
	{name: "nobody", wrap: []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"}, root: true, ends: true},
	{name: "seccomp", filter: true},
	// If a user may run but not read an executable, only root may read its
	// process.
	{name: "unreadable", wrap: []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"}, root: true, record: true},
}

// After each death there is exactly one core; it opens in Delve with the right
// values, has the right reason, shows the goroutine that failed; and the
// program's exit status and standard error are what they are without us.
//
// Cells that Go itself cannot fire, deadlock with cgo or race detector, are left
// out; a race build's address space forbids the limit with which "oom" is made.
func TestCrashMatrix(t *testing.T) {
	debuggers.Need(t, "dlv")
	n := 0
	for _, s := range surroundings {
		for _, variant := range crasher.Variants() {
			for _, c := range crashes {
				if c.only != nil && !contains(c.only, variant) {
					continue
				}
				// The sample: each cause in the plain surrounding and build, and
				// every ninth of the rest.
				n++
				if !matrix.Whole() && (s.name != "run" || variant != crasher.Plain && len(c.only) != 1) && n%9 != 0 {
					continue
				}
				t.Run(s.name+"/"+string(variant)+"/"+c.way, func(t *testing.T) {
					if s.root && os.Getuid() != 0 {
						t.Skip("changing the user needs root")
					}
					checkCrash(t, s, variant, c)
				})
			}
		}
	}
}

// Programs of other toolchains die and are captured in the same way.
func TestToolchains(t *testing.T) {
	debuggers.Need(t, "dlv")
	toolchains := []crasher.Variant{"go1.27.3"}
	if matrix.Whole() {
		toolchains = append(toolchains, "go1.25.5", "go1.24.9")
	}
	for _, toolchain := range toolchains {
		for _, way := range []string{"panic", "map", "stack", "sigquit", "sigkill"} {
			t.Run(string(toolchain)+"/"+way, func(t *testing.T) {
				program := crasher.Build(t, toolchain)
				r := supervise(t, plainly, program, nil, way)
				cores := r.cores(t)
				if len(cores) != 1 {
					t.Fatalf("%d cores: %+v", len(cores), r.events)
				}
				// Its table was generated under another path than it is built
				// with here, which is not known to be package main's.
				out, err := command(t, "print", cores[0], "counter", "customer")
				if err != nil || string(out) != "crasher.counter = 4711\ncrasher.customer = \"Ada Lovelace\"\n" {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}

func contains(list []crasher.Variant, v crasher.Variant) bool {
	for _, have := range list {
		if have == v {
			return true
		}
	}
	return false
}

func checkCrash(t *testing.T, s surrounding, variant crasher.Variant, c crash) {
	program := crasher.Build(t, variant)
	var on []string
	if !slices.Contains(s.flags, "--exit-stop=off") { // where such ends are noticed
		on = []string{"--on=sigterm"}
	}
	r := supervise(t, s, program, on, c.way)

	alone := exec.Command(program, c.way)
	var stderr bytes.Buffer
	alone.Stderr = &stderr
	_ = alone.Run() // it dies
	// The flag for a core of the kernel's is not ours to repeat.
	if got, want := r.state.Sys().(syscall.WaitStatus)&^0x80, alone.ProcessState.Sys().(syscall.WaitStatus)&^0x80; got != want {
		t.Errorf("ended with %#x, without us with %#x; it printed %.500s", got, want, r.stderr.String())
	}
	if variant == crasher.Race && c.way == "map" {
		// The detector and the runtime race for the first word themselves.
	} else if got, want := firstWords(r.stderr.String()), firstWords(stderr.String()); got != want {
		t.Errorf("standard error begins with %q, without us with %q", got, want)
	}
	cores := r.cores(t)
	if c.exit && !s.ends {
		if len(cores) != 0 {
			t.Errorf("there are cores of an end that was not observed: %v", cores)
		}
		return
	}
	if len(cores) != 1 {
		t.Fatalf("%d cores: %+v", len(cores), r.events)
	}
	core := cores[0]
	if s.record && (c.way == "throw" || c.way == "map" || c.way == "deadlock" || c.way == "stack" || c.way == "oom") {
		// Only the runtime's backlog in memory has the kind of error.
		c.reason = "fatal-error"
	}
	if !strings.HasSuffix(core, "."+c.reason+".core") {
		t.Errorf("the core is called %s, want the reason %s", filepath.Base(core), c.reason)
	}
	if info, err := exec.Command(tool(t), "info", core).CombinedOutput(); err != nil || !bytes.Contains(info, []byte(c.reason)) {
		t.Errorf("info: %v, %s", err, info)
	}
	if s.record {
		return // it holds no memory, and its executable is not readable
	}
	checkValues(t, program, variant, core)
	out, err := command(t, "goroutines", "--exe", program, core)
	if failed, want := bytes.Contains(out, []byte("] (failed")), !c.exit && !c.signal && c.way != "deadlock"; err != nil || failed != want {
		t.Errorf("a goroutine failed: %v, and the list reports %v (%v):\n%.2000s", want, failed, err, out)
	}
	if variant == crasher.Stripped || c.frame == "" {
		return
	}
	if s.filter && c.signal {
		// A goroutine that was interrupted by a signal is found through registers, which
		// are not available here.
		return
	}
	show := "bt"
	if c.exit || c.signal || s.filter {
		// No goroutine failed; or registers are not to be had, and the trace of
		// the thread ends where it changes stacks.
		show = "goroutines -t 60"
	}
	if bt := debuggers.DelveSays(t, program, core, show); !strings.Contains(bt, c.frame) {
		t.Errorf("%s is not in the trace of the goroutine that failed:\n%s", c.frame, bt)
	}
}

// checkValues holds the annotated values against what the program set.
func checkValues(t *testing.T, program string, variant crasher.Variant, core string) {
	t.Helper()
	if data, err := os.ReadFile(core); err != nil || bytes.Contains(data, []byte("hunter2hunter2")) {
		t.Errorf("what was excluded is in the core (%v)", err)
	}
	exe := program
	if variant == crasher.Stripped {
		// Delve needs symbols; the same build with them has the same addresses.
		exe = crasher.Build(t, crasher.Plain)
	}
	got := debuggers.MustDelve(t, exe, core, "main.counter", "main.customer", "main.orders[2].Buyer")
	want := []string{"4711", `"Ada Lovelace"`, `"buyer 2"`}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Errorf("Delve prints %q, want %q", got, want)
			break
		}
	}
}

// firstWords is the first line without the numbers in brackets that follow in
// some of them.
func firstWords(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	words, _, _ := strings.Cut(line, " (")
	return words
}
