//go:build linux

package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/matrix"
)

// Variables that a list names from outside are followed by their types in the
// debug information where the program has no descriptors of them; a stripped
// program carries these types in what the linker step embedded.
func TestTypesWithoutDescriptors(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	names := []string{"main.pool", "main.current", "main.table", "main.single", "main.names", "main.local", "main.grid", "main.nested", "main.within"}
	ways := []way{
		{"plain", []string{"CGO_ENABLED=0"}, nil},
		{"pie", []string{"CGO_ENABLED=1"}, []string{"-buildmode=pie", "-ldflags=-linkmode=external"}},
		{"DWARF 4", []string{"CGO_ENABLED=0", "GOEXPERIMENT=nodwarf5"}, nil},
	}
	for i, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			if i >= sample && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			exe := build(t, "undescribed", w.env, w.flags...)
			list, stripped := filepath.Join(t.TempDir(), "list"), filepath.Join(t.TempDir(), "undescribed")
			if err := os.WriteFile(list, []byte(strings.Join(names, "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			command(t, "cp", exe, stripped)
			command(t, tool(t), "link", "--embed", "--include", list, stripped)
			command(t, debuggers.Need(t, "strip"), "-s", stripped)
			for run, include := range map[string][]string{exe: names, stripped: nil} {
				p := start(t, run)
				p.freeze(t)
				core, summary := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways, Depth: 10, Include: include})
				if summary.Regions.Complete != len(names) {
					t.Errorf("%s: %+v, %v", run, summary.Regions, summary.Problems)
				}
				full := fullCore(t, p.Process.Pid)
				want, got := debuggers.MustDelve(t, exe, full, names...), debuggers.MustDelve(t, exe, core, names...)
				for i, name := range names {
					if got[i] != want[i] {
						t.Errorf("%s of %s\nwhole dump: %s\n   capture: %s", name, run, clip(want[i]), clip(got[i]))
					}
				}
				if err := os.Remove(full); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
