//go:build linux

package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// marked is what both debuggers show for an int64 that was not captured.
const marked = "-6510615555426900571"

type way struct {
	name  string
	env   []string
	flags []string
}

// ways are the ways to build a program that a core must open for.
func ways() []way {
	list := []way{
		{"plain", []string{"CGO_ENABLED=0"}, nil},
		{"pie", []string{"CGO_ENABLED=0"}, []string{"-buildmode=pie"}},
		{"stripped", []string{"CGO_ENABLED=0"}, []string{"-ldflags=-s -w"}},
		{"cgo-pie", []string{"CGO_ENABLED=1"}, []string{"-tags=withcgo", "-buildmode=pie"}},
		{"unoptimised", []string{"CGO_ENABLED=0"}, []string{"-gcflags=all=-N -l"}},
	}
	if full {
		list = append(list,
			way{"cgo", []string{"CGO_ENABLED=1"}, []string{"-tags=withcgo"}},
			way{"race", []string{"CGO_ENABLED=1"}, []string{"-race"}},
			way{"stripped-pie", []string{"CGO_ENABLED=0"}, []string{"-buildmode=pie", "-ldflags=-s -w"}},
			way{"external", []string{"CGO_ENABLED=1"}, []string{"-tags=withcgo", "-ldflags=-linkmode=external"}},
			way{"stripped-cgo", []string{"CGO_ENABLED=1"}, []string{"-tags=withcgo", "-ldflags=-s -w"}},
		)
	}
	return list
}

// A program writes a core of itself, and unmodified gdb and Delve print the
// values that it had; what was not captured shows the marked pattern, never its
// initial value and never 0.
func TestSelfWrittenCoreInDebuggers(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("registers of a core of this machine: only amd64 has been compared in the debuggers")
	}
	for _, w := range ways() {
		exe := build(t, "selfcore", w.env, w.flags...)
		for _, mode := range []string{"", "strict", "data"} {
			t.Run(w.name+"/"+mode, func(t *testing.T) {
				core := filepath.Join(t.TempDir(), "core")
				out, err := exec.Command(exe, core, mode).Output()
				if err != nil {
					t.Fatal(err)
				}
				values := parseValues(t, string(out), mode)
				if strings.Contains(w.name, "stripped") {
					checkMemory(t, exe, core, values)
				} else {
					checkExpressions(t, exe, core, values)
				}
				checkRegions(t, core)
			})
		}
	}
}

// A struct with an excluded field prints as a whole: the others have their
// values, the field shows marks.
func TestSelfWrittenCoreWithExcludedField(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("registers of a core of this machine: only amd64 has been compared in the debuggers")
	}
	exe := build(t, "selfexcluded", []string{"CGO_ENABLED=0"})
	core := filepath.Join(t.TempDir(), "core")
	if out, err := exec.Command(exe, core).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := debuggers.MustGDB(t, exe, core, "'main.owner'")[0], "{ID = 11, Key = {"+marked+", "+marked+"}, Count = 44}"; got != want {
		t.Errorf("gdb shows %s, want %s", got, want)
	}
	got := strings.Join(strings.Fields(debuggers.DelveSays(t, exe, core, "print main.owner")), " ")
	if want := "ID: 11, Key: [2]int64 [" + marked + "," + marked + "], Count: 44"; !strings.Contains(got, want) {
		t.Errorf("Delve shows %s, want %s", got, want)
	}
	out, err := exec.Command(tool(t), "print", core).CombinedOutput()
	if want := "main.owner = main.account{ID: 11, Key: [2]int64{/* redacted */, /* redacted */}, Count: 44}\n"; err != nil || string(out) != want {
		t.Errorf("%v; meminspect shows %s, want %s", err, out, want)
	}
}

// A value is what the program printed, or the marked pattern where the core does
// not have it.
type value struct{ expr, want, addr string }

func parseValues(t *testing.T, printed, mode string) (values []value) {
	t.Helper()
	captured := true
	for line := range strings.Lines(printed) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if f[0] == "--" {
			captured = mode == "data"
			continue
		}
		v := value{f[0], f[1], strings.TrimSuffix(f[2], "0x0")}
		if !captured {
			v.want = marked
		}
		values = append(values, v)
	}
	if len(values) != 18 {
		t.Fatalf("the program printed %q", printed)
	}
	return values
}

func checkExpressions(t *testing.T, exe, core string, values []value) {
	t.Helper()
	// gdb takes a package's dot for a member unless the name is quoted.
	var exprs, quoted []string
	for _, v := range values {
		name, rest := v.expr, ""
		if cut := strings.IndexAny(name[len("main."):], ".["); cut >= 0 {
			name, rest = v.expr[:len("main.")+cut], v.expr[len("main.")+cut:]
		}
		exprs, quoted = append(exprs, v.expr), append(quoted, "'"+name+"'"+rest)
	}
	gdb := debuggers.MustGDB(t, exe, core, quoted...)
	delve := debuggers.MustDelve(t, exe, core, exprs...)
	for i, v := range values {
		// gdb shows a byte as a character too.
		if got, _, _ := strings.Cut(gdb[i], " "); got != v.want {
			t.Errorf("gdb: %s is %s, want %s", v.expr, gdb[i], v.want)
		}
		if delve[i] != v.want {
			t.Errorf("dlv: %s is %s, want %s", v.expr, delve[i], v.want)
		}
	}
}

// checkMemory is for programs without symbols and types, where gdb knows
// addresses alone and Delve nothing.
func checkMemory(t *testing.T, exe, core string, values []value) {
	t.Helper()
	var commands []string
	for _, v := range values {
		if v.addr != "" {
			commands = append(commands, "x/dg "+v.addr)
		}
	}
	out := debuggers.GDBSays(t, exe, core, commands...)
	for _, v := range values {
		if v.addr == "" {
			continue
		}
		_, rest, _ := strings.Cut(out, v.addr)
		line, _, _ := strings.Cut(rest, "\n")
		if _, got, _ := strings.Cut(line, ":"); strings.TrimSpace(got) != v.want {
			t.Errorf("gdb: %s at %s is %q, want %s", v.expr, v.addr, line, v.want)
		}
	}
}

func checkRegions(t *testing.T, path string) {
	t.Helper()
	core, err := inspect.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	own := 0
	for _, r := range core.Regions {
		if r.ID >= anchor.FirstDynamic {
			own++
		}
		if r.Status != note.Complete || r.Captured != r.Size {
			t.Errorf("%s: %v, %d of %d bytes", r.Name, r.Status, r.Captured, r.Size)
		}
	}
	if own != 8 {
		t.Errorf("%d regions of its own, 8 were registered", own)
	}
	if core.Capture == nil || core.Capture.BuildID == "" {
		t.Errorf("capture record: %+v", core.Capture)
	}
	// Where the debuggers are, the thread is: in the function that asked.
	if len(core.Threads) != 1 {
		t.Errorf("%d threads", len(core.Threads))
	}
}

// A full disk: an error, no file under the final name, no piece of one.
func TestSelfWrittenCoreOnFullDisk(t *testing.T) {
	exe := build(t, "selfcore", []string{"CGO_ENABLED=0"})
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small tmpfs cannot be mounted here: %v: %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	}()
	out, err := exec.Command(exe, filepath.Join(dir, "core")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no space left on device") {
		t.Errorf("%v: %s", err, out)
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

// RLIMIT_FSIZE would end the program with SIGXFSZ: the core is refused first.
func TestSelfWrittenCoreUnderFileSizeLimit(t *testing.T) {
	exe := build(t, "selfcore", []string{"CGO_ENABLED=0"})
	dir := t.TempDir()
	script := fmt.Sprintf("ulimit -f 4; exec %s %s", exe, filepath.Join(dir, "core"))
	out, err := exec.Command("sh", "-c", script).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "RLIMIT_FSIZE") {
		t.Errorf("%v: %s", err, out)
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

// The binutils and the elfutils read a core and its notes without a complaint.
func TestSelfWrittenCoreInReadelf(t *testing.T) {
	exe := build(t, "selfcore", []string{"CGO_ENABLED=0"})
	core := filepath.Join(t.TempDir(), "core")
	if out, err := exec.Command(exe, core).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, tool := range []string{"readelf", "eu-readelf"} {
		t.Run(tool, func(t *testing.T) {
			path, err := exec.LookPath(tool)
			if err != nil {
				t.Skipf("%s is missing", tool)
			}
			cmd := exec.Command(path, "-l", "-n", core)
			var complaints strings.Builder
			cmd.Stderr = &complaints
			out, err := cmd.Output()
			if err != nil || complaints.Len() > 0 {
				t.Errorf("%v: %s", err, complaints.String())
			}
			for _, want := range []string{"CORE", "VMCOREINFO", "MEMINSPECT", "LOAD"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("%s is not in what it prints", want)
				}
			}
		})
	}
}
