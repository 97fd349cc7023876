//go:build linux

package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
)

// command runs a command that must succeed.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// A stripped program that carries what the linker step embedded is captured as
// if it had its symbols: Delve finds goroutines and threads as in a full core.
// A section of another build is refused with a message, and not believed; what needs
// no symbols is captured all the same.
func TestEmbeddedSection(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	strip, objcopy := debuggers.Need(t, "strip"), debuggers.Need(t, "objcopy")
	dir := t.TempDir()
	tool := filepath.Join(dir, "meminspect")
	command(t, "go", "build", "-o", tool, "../../cmd/meminspect")
	for _, w := range []way{
		{"plain", []string{"CGO_ENABLED=0"}, nil},
		{"pie", []string{"CGO_ENABLED=0"}, []string{"-buildmode=pie"}},
	} {
		t.Run(w.name, func(t *testing.T) {
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, name) }
			twin := build(t, "wedged", w.env, w.flags...)
			other := build(t, "wedged", w.env, append(slices.Clone(w.flags), "-gcflags=-N -l")...)
			for name, exe := range map[string]string{"embedded": twin, "foreign": other} {
				command(t, "cp", exe, at(name))
				command(t, tool, "link", "--embed", at(name))
				command(t, strip, "-s", at(name))
			}
			command(t, strip, "-s", "-o", at("bare"), twin)
			command(t, objcopy, "-O", "binary", "--only-section="+embedded.SectionName, "--set-section-flags", embedded.SectionName+"=alloc", at("foreign"), at("section"))
			command(t, objcopy, "--add-section", embedded.SectionName+"="+at("section"), at("bare"), at("stale"))

			for _, name := range []string{"embedded", "bare", "stale"} {
				p := start(t, at(name), "sleep")
				p.freeze(t)
				core, summary := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways})
				if summary.Regions.Complete != 2 || summary.Goroutines.Captured == 0 || summary.Goroutines.Captured != summary.Goroutines.All {
					t.Errorf("%s: %+v", name, summary)
				}
				values := debuggers.MustDelve(t, twin, core, "main.serial", "len(main.orders)")
				if want := []string{"41", "3"}; !slices.Equal(values, want) {
					t.Errorf("%s: Delve prints %q, want %q", name, values, want)
				}
				refused := slices.ContainsFunc(summary.Problems, func(p capture.Problem) bool {
					return strings.Contains(p.What, embedded.SectionName) && strings.Contains(p.Why, "embed again")
				})
				if refused != (name == "stale") {
					t.Errorf("%s: problems %+v", name, summary.Problems)
				}
				whole := fullCore(t, p.Process.Pid)
				diff := differences(delve(t, twin, core, "goroutines -t", "threads"), delve(t, twin, whole, "goroutines -t", "threads"))
				if (len(diff) == 0) != (name == "embedded") {
					t.Errorf("%s: %d lines differ from a full core's:\n%s", name, len(diff), strings.Join(diff[:min(len(diff), 8)], "\n"))
				}
				if err := os.Remove(whole); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
