//go:build linux

package acceptance

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/meminspect/meminspect/internal/debuggers"
)

// A program for arm64 that runs under qemu-user writes a core of itself, and
// gdb-multiarch, Delve and this project's reader find its values, from a
// machine that is none.
func TestSelfWrittenCoreOfARM64(t *testing.T) {
	if runtime.GOARCH == "arm64" {
		t.Skip("this machine is an arm64 one: nothing is emulated")
	}
	qemu := debuggers.Need(t, "qemu-aarch64")
	debuggers.Need(t, "gdb-multiarch")
	// No PIE: it names arm64's dynamic loader, which only arm64 systems have.
	list := []way{{"plain", nil, nil}}
	if full {
		list = append(list, way{"unoptimised", nil, []string{"-gcflags=all=-N -l"}}, way{"stripped", nil, []string{"-ldflags=-s -w"}})
	}
	for _, w := range list {
		exe := build(t, "selfcore", []string{"GOARCH=arm64", "CGO_ENABLED=0"}, w.flags...)
		for _, mode := range []string{"", "strict", "data"} {
			t.Run(w.name+"/"+mode, func(t *testing.T) {
				core := filepath.Join(t.TempDir(), "core")
				out, err := exec.Command(qemu, exe, core, mode).Output()
				if err != nil {
					t.Fatal(err)
				}
				values := parseValues(t, string(out), mode)
				if w.name == "stripped" {
					checkMemory(t, exe, core, values)
				} else {
					checkExpressions(t, exe, core, values)
				}
				checkRegions(t, core)
			})
		}
	}
}
