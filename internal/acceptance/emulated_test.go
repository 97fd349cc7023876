//go:build linux

package acceptance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/kinds"
)

// Programs for arm64 that run under qemu-user cannot be captured: it has no
// ptrace. But when one dies, qemu writes a core of all its memory, with the
// registers of all its threads, as a kernel on arm64 would, and of that core the
// collector makes the same small one that it makes of a process.

// needEmulation skips where arm64 is not emulated, or need not be.
func needEmulation(t *testing.T) {
	t.Helper()
	if runtime.GOARCH == "arm64" {
		t.Skip("this machine is an arm64 one: nothing is emulated")
	}
	debuggers.Need(t, "qemu-aarch64")
	debuggers.Need(t, "gdb-multiarch")
	debuggers.Need(t, "dlv")
}

// forARM64 is the environment to build in, forARM64WithC that for programs with cgo.
const (
	forARM64      = "GOARCH=arm64 CGO_ENABLED=0"
	forARM64WithC = "GOARCH=arm64 CGO_ENABLED=1 CC=" + compiler
	compiler      = "aarch64-linux-gnu-gcc"
)

// withC returns qemu's flags for programs with cgo: where arm64's C library is. It
// skips where there is none.
func withC(t *testing.T) []string {
	t.Helper()
	gcc := debuggers.Need(t, compiler)
	out, err := exec.Command(gcc, "-print-file-name=ld-linux-aarch64.so.1").Output()
	loader := strings.TrimSpace(string(out))
	if err != nil || !filepath.IsAbs(loader) {
		t.Skipf("%s has no C library: %v", compiler, err)
	}
	return []string{libraries, filepath.Dir(filepath.Dir(filepath.Clean(loader)))}
}

// libraries is the flag of qemu for the folder of the emulated system's files.
const libraries = "-L"

// dying returns the flag of the go command that lays the file of testdata/dies
// over the program in dir.
func dying(t *testing.T, dir string) string {
	t.Helper()
	file, err := filepath.Abs("testdata/dies/dies.go")
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(dir, "dies.go"): file}})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return "-overlay=" + overlay
}

// largePages are qemu's flags for pages of 64 KiB, which some arm64 kernels have.
var largePages = []string{"-p", "65536"}

// emulate runs a program for arm64 until it prints "ready", ends it by a signal and
// returns the core that qemu wrote, and what the program wrote to its standard
// error. The core is there until the test ends.
func emulate(t *testing.T, exe string, sig syscall.Signal, flags ...string) (core, stderr string) {
	t.Helper()
	return emulateWith(t, exe, sig, append(flags, exe)...)
}

// emulateWith is emulate with the whole of qemu's arguments. Signal 0 is for a
// program that comes to such an end by itself.
func emulateWith(t *testing.T, exe string, sig syscall.Signal, args ...string) (core, stderr string) {
	t.Helper()
	dir := t.TempDir()
	args = append([]string{"-c", `ulimit -c unlimited || exit 77; exec "$@"`, "sh", debuggers.Need(t, "qemu-aarch64")}, args...)
	cmd := exec.Command("sh", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	var text bytes.Buffer
	cmd.Stderr = &text
	stdin, err := cmd.StdinPipe() // some wait for it
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(args, libraries) { // else there is a loader
		defer load(t, exe)()
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if sig != 0 && line == "ready\n" {
		time.Sleep(100 * time.Millisecond) // it blocks now where it will stay
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait()
	switch {
	case cmd.ProcessState.ExitCode() == 77:
		t.Skip("no core may be made here: ulimit -c cannot be set")
	case sig != 0 && line != "ready\n":
		t.Fatalf("the program printed %q: %v\n%s", line, err, text.String())
	}
	found, err := filepath.Glob(filepath.Join(dir, "qemu_*.core"))
	if err != nil || len(found) != 1 {
		t.Fatalf("qemu-aarch64 wrote no core: %v %v; the program ended with %v\n%s", found, err, cmd.ProcessState, clip(text.String()))
	}
	return found[0], text.String()
}

// An emulation is a way to build and to run the program with a variable of every
// kind.
type emulation struct {
	name string
	kinds.Build
	flags []string // of qemu
}

func emulations(t *testing.T) []emulation {
	t.Helper()
	list := []emulation{{name: "plain"}}
	if full {
		list = append(list,
			emulation{"1.24.9", kinds.Build{Toolchain: "go1.24.9"}, nil},
			emulation{"1.25.5", kinds.Build{Toolchain: "go1.25.5"}, nil},
			emulation{"1.27.3", kinds.Build{Toolchain: "go1.27.3"}, nil},
			emulation{"unoptimised", kinds.Build{Debug: true}, nil},
			emulation{"pie", kinds.Build{Args: pie}, nil},
			emulation{"1.27.3 pie", kinds.Build{Toolchain: "go1.27.3", Args: pie}, nil},
			emulation{"large pages", kinds.Build{}, largePages},
			emulation{"external pie", kinds.Build{Env: forARM64WithC, Args: "-ldflags=-linkmode=external " + pie}, nil},
		)
	}
	overlay := dying(t, kinds.Source())
	for i := range list {
		b := &list[i].Build
		b.Tables, b.Args = true, strings.TrimSpace(overlay+" "+b.Args)
		if b.Env == "" {
			b.Env = forARM64
		}
	}
	return list
}

const pie = "-buildmode=pie"

// Of an arm64 program's full core, what is filtered shows every variable in Delve
// as the full core does, and `print` shows what is in the source, with the
// executable, without it, and of a stripped twin.
func TestVariablesOfARM64(t *testing.T) {
	needEmulation(t)
	for _, e := range emulations(t) {
		t.Run(e.name, func(t *testing.T) {
			if e.Env == forARM64WithC {
				e.flags = withC(t)
			}
			exe := kinds.Make(t, e.Build)
			whole, _ := emulate(t, exe, syscall.SIGQUIT, e.flags...)
			from := fullcore.Options{Exe: exe}
			small, summary := filter(t, whole, from, capture.Options{Depth: 100})
			if summary.Partial || summary.Reason != "signal-sigquit" {
				t.Errorf("%+v", summary)
			}
			var exprs []string
			for _, r := range openCore(t, small).Regions {
				if r.Package == "kinds" {
					exprs = append(exprs, "main."+r.Expr)
				}
			}
			want, got := debuggers.MustDelve(t, exe, whole, exprs...), debuggers.MustDelve(t, exe, small, exprs...)
			different := 0
			for i, expr := range exprs {
				// If the linker puts constants next to code, qemu omits them, and Delve
				// does not look for them in a file that was relocated.
				if e.Env == forARM64WithC && strings.Contains(want[i], "unreadable") && !strings.Contains(got[i], "unreadable") {
					different++
					continue
				}
				if got[i] != want[i] {
					different++
					t.Errorf("%s\nfull core: %s\n filtered: %s", expr, clip(want[i]), clip(got[i]))
				}
			}
			if len(exprs) < 200 {
				t.Errorf("%d variables", len(exprs))
			}
			t.Logf("%d of %d variables print the same; %d bytes", len(exprs)-different, len(exprs), summary.Bytes)
			if !strings.Contains(e.Args, pie) { // gdb does not see where qemu's core has one
				checkGDB(t, exe, whole, small)
			}
			checkPrinted(t, e, exe, small)
		})
	}
}

// checkGDB compares what gdb prints of variables that it can print.
func checkGDB(t *testing.T, exe, whole, small string) {
	t.Helper()
	exprs := []string{"'main.vInt'", "'main.vUint64'", "'main.vFloat64'", "'main.vArray2'", "'main.vColor'", "'main.vUTF8'", "*'main.vSelf'", "'main.vSlicePtr'", "'main.vTime'"}
	want, got := debuggers.MustGDB(t, exe, whole, exprs...), debuggers.MustGDB(t, exe, small, exprs...)
	for i := range exprs {
		if got[i] != want[i] || strings.Contains(want[i], "No symbol") || strings.Contains(want[i], "Cannot") {
			t.Errorf("gdb, %s\nfull core: %s\n filtered: %s", exprs[i], clip(want[i]), clip(got[i]))
		}
	}
}

// checkPrinted compares what `print` writes of the filtered core with the source,
// and against a stripped twin's core.
func checkPrinted(t *testing.T, e emulation, exe, small string) {
	t.Helper()
	want, order := printedOf(t, exe, small, false)
	for name, text := range kinds.Truths {
		if got := kinds.OneLine(want[name]); got != text {
			t.Errorf("%s = %s\nwant %s", name, got, text)
		}
	}
	stripped := e.Build
	stripped.Args += " -ldflags=-s"
	twin := kinds.Make(t, stripped)
	whole, _ := emulate(t, twin, syscall.SIGQUIT, e.flags...)
	small, summary := filter(t, whole, fullcore.Options{Exe: twin}, capture.Options{Depth: 100})
	if summary.Goroutines.Captured < 5 || summary.Goroutines.Captured != summary.Goroutines.All {
		t.Errorf("stripped: %+v", summary)
	}
	for _, alone := range []bool{false, true} {
		got, _ := printedOf(t, twin, small, alone)
		for _, name := range order {
			if _, ok := unalike[name]; ok {
				continue
			}
			if g, w := kinds.OneLine(got[name]), kinds.OneLine(want[name]); g != w {
				t.Errorf("alone %v, %s\n    twin: %s\nstripped: %s", alone, name, clip(w), clip(g))
			}
		}
		if len(got) < 200 {
			t.Errorf("%d values were printed", len(got))
		}
	}
}
