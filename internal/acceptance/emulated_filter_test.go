//go:build linux

package acceptance

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/matrix"
)

// No core that is filtered of an arm64 program's holds what was excluded, be it on
// stacks or in registers.
func TestSecretsOfARM64(t *testing.T) {
	needEmulation(t)
	env := strings.Fields(forARM64)
	list := []way{{"plain", env, nil}}
	if full {
		list = append(list, way{"stripped", env, []string{"-ldflags=-s -w"}}, way{"unoptimised", env, []string{"-gcflags=all=-N -l"}},
			way{"external-pie", strings.Fields(forARM64WithC), []string{"-ldflags=-linkmode=external", pie}})
	}
	for _, w := range list {
		t.Run(w.name, func(t *testing.T) {
			var flags []string
			if w.name == "external-pie" {
				flags = withC(t)
			}
			exe := build(t, "secrets", w.env, append(w.flags, dying(t, "testdata/secrets"))...)
			whole, _ := emulate(t, exe, syscall.SIGQUIT, flags...)
			text := mapped(t, whole)
			if missing := absent(text); len(missing) > 0 {
				t.Fatalf("the full core does not hold the secrets %v", missing)
			}
			for _, opts := range []capture.Options{
				{}, {Mode: capture.Strict}, {Mode: capture.Data}, {Depth: 50}, {Stacks: capture.StacksSkeleton, Labels: true, Args: true},
			} {
				small, summary := filter(t, whole, fullcore.Options{Exe: exe}, opts)
				data, err := os.ReadFile(small)
				if err != nil {
					t.Fatal(err)
				}
				if found := present(data); len(found) > 0 {
					t.Errorf("%+v: the core holds the secrets %v", opts, found)
				}
				if !bytes.Contains(data, []byte("ann visible")) || summary.Regions.Reasons["redacted"] == 0 || summary.Regions.All != 21 || summary.Partial {
					t.Errorf("%+v: %+v", opts, summary)
				}
			}
		})
	}
}

// Of an arm64 program that panicked, the core has the value, though the runtime
// keeps that elsewhere than on amd64, which goroutine it was, and where: as its runtime
// printed it.
func TestPanicsOfARM64(t *testing.T) {
	needEmulation(t)
	want := map[string]string{"panic-typed": "main.typedError", "nil": "runtime.errorString"}
	list := []way{{"plain", nil, nil}}
	if full {
		maps.Copy(want, map[string]string{"panic": "string", "panic-error": "*fmt.wrapError", "panic-code": "main.code", "panic-struct": "*main.order", "repanic": "string"})
		list = append(list, way{"1.27.3", []string{"GOTOOLCHAIN=go1.27.3"}, nil}, way{"stripped", nil, []string{"-ldflags=-s -w"}}, way{"pie", nil, []string{pie}}, way{"unoptimised", nil, []string{"-gcflags=all=-N -l"}})
	}
	for _, w := range list {
		exe := build(t, "crasher", append(strings.Fields(forARM64), w.env...), w.flags...)
		for how, kind := range want {
			t.Run(w.name+"/"+how, func(t *testing.T) {
				whole, text := emulateWith(t, exe, 0, exe, how)
				small, summary := filter(t, whole, fullcore.Options{Exe: exe}, capture.Options{})
				extra := map[string]string{}
				for _, pair := range openCore(t, small).Capture.Extra {
					extra[pair.Key] = pair.Value
				}
				if got := []string{extra["panic-type"], extra["goroutine"], summary.Reason}; !slices.Equal(got, []string{kind, "1", "signal-sigabrt"}) {
					t.Errorf("%q, want %s of goroutine 1 in %q", got, kind, extra)
				}
				frames, printed := read(t, small)["1"], runtimeTraces(text)["1"]
				if n := len(frames) - len(printed); n < 0 || len(printed) < 3 || !slices.Equal(frames[n:], printed) {
					t.Errorf("%s\nits runtime:\n%s", strings.Join(frames, "\n"), strings.Join(printed, "\n"))
				}
			})
		}
	}
}

// The tool itself, built for arm64 and emulated, filters an arm64 program's core
// into what it makes of it on this machine.
func TestFilterOnARM64(t *testing.T) {
	needEmulation(t)
	if !full {
		t.Skip(matrix.Sampled)
	}
	dir := t.TempDir()
	tool := filepath.Join(dir, "meminspect")
	cmd := exec.Command("go", "build", "-o", tool, "github.com/meminspect/meminspect/cmd/meminspect")
	cmd.Env = append(os.Environ(), strings.Fields(forARM64)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, program := range []string{"secrets", "states"} {
		t.Run(program, func(t *testing.T) {
			exe := build(t, program, strings.Fields(forARM64), dying(t, "testdata/"+program))
			whole, _ := emulate(t, exe, syscall.SIGQUIT)
			small := filepath.Join(dir, program+".core")
			if out, err := exec.Command(debuggers.Need(t, "qemu-aarch64"), tool, "filter", whole, "--exe", exe, "-o", small).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			compareCores(t, "here", small, whole, fullcore.Options{Exe: exe})
		})
	}
}
