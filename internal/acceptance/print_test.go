//go:build linux

package acceptance

import (
	"os"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/inspect"
	values "github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
)

// printed captures the program and returns what print writes of each region.
// With alone the executable is away while the core is read.
func printed(t *testing.T, path string, pid int, alone bool) (texts map[string]string, order []string) {
	t.Helper()
	core, _ := takeCore(t, pid, capture.Options{Depth: 100, Stop: capture.StopAlways})
	return printedOf(t, path, core, alone)
}

// printedOf is printed for a core that is there.
func printedOf(t *testing.T, path, file string, alone bool) (texts map[string]string, order []string) {
	t.Helper()
	described := hasDebugInfo(t, path)
	if alone {
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := os.Rename(path+".away", path); err != nil {
				t.Error(err)
			}
		}()
	}
	core, err := inspect.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	prog, err := inspect.OpenProgram(core, "")
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if alone != (prog.Exe == nil) || alone != (len(prog.Warnings) > 0) {
		t.Errorf("alone is %v, the executable is %v, warnings %q", alone, prog.Exe, prog.Warnings)
	}
	texts = map[string]string{}
	for i := range core.Regions {
		r := &core.Regions[i]
		if r.Package != "kinds" {
			continue
		}
		if want := kinds.Status(r.Expr, described); r.Status != want {
			t.Errorf("%s: %v, want %v", r.Expr, r.Status, want)
		}
		texts[r.Expr] = values.Region(prog, r, values.Limits{Depth: 200}).Go()
		order = append(order, r.Expr)
	}
	return texts, order
}

func hasDebugInfo(t *testing.T, path string) bool {
	t.Helper()
	f, err := exe.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, found := f.Section(".debug_info")
	return found
}

// unalike are variables that differ from run to run, and why.
var unalike = map[string]string{
	"vTimeNow":   "it is the time at which the program started",
	"vReflect":   "it shows a type descriptor, with the target of GCData, which the core alone does not have",
	"vReflPtr":   "as vReflect",
	"vAnyType":   "as vReflect",
	"vChanWaitS": "its two senders wait in any order",
	"vMethod":    "only debug information has the type of its receiver",
	"vMethodPtr": "as vMethod",
}

// A stripped program's values print like its unstripped twin's, with the
// executable and without.
func TestPrintStrippedAsItsTwin(t *testing.T) {
	needAMD64(t)
	for i, b := range []kinds.Build{{}, {Toolchain: "go1.27.3", Args: "-buildmode=pie"}, {Toolchain: "go1.24.9"}, {Toolchain: "go1.25.5"}, {Toolchain: "go1.27.3"}, {Args: "-race"}} {
		b.Tables = true
		stripped := b
		stripped.Args = strings.TrimSpace(b.Args + " -ldflags=-s")
		t.Run(b.String(), func(t *testing.T) {
			if i >= 2 && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			twin := kinds.Make(t, b)
			want, order := printed(t, twin, kinds.Start(t, twin), false)
			path := kinds.Make(t, stripped)
			pid := kinds.Start(t, path)
			for _, alone := range []bool{false, true} {
				got, _ := printed(t, path, pid, alone)
				for _, name := range order {
					if _, ok := unalike[name]; ok {
						continue
					}
					g, w := kinds.OneLine(got[name]), kinds.OneLine(want[name])
					if g != w {
						t.Errorf("alone %v, %s\n    twin: %s\nstripped: %s", alone, name, clip(w), clip(g))
					}
				}
				if len(got) < 200 {
					t.Errorf("%d values were printed", len(got))
				}
			}
			for name, text := range kinds.Truths {
				if got := kinds.OneLine(want[name]); got != text {
					t.Errorf("%s = %s\nwant %s", name, got, text)
				}
			}
			for name, text := range want {
				if strings.Contains(text, "not captured") || strings.Contains(text, "/* i") || strings.Contains(text, "torn") {
					t.Errorf("%s is not whole: %s", name, clip(text))
				}
			}
		})
	}
}

func clip(s string) string {
	if len(s) > 2000 {
		return s[:2000] + " …"
	}
	return s
}
