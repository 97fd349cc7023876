//go:build linux

package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/waits"
)

// descriptorLines returns the descriptors for which goroutines wait, as testdata/descriptors
// writes them.
func descriptorLines(t *testing.T, path string) (lines []string) {
	t.Helper()
	prog := openProgram(t, path)
	list, _, err := stacks.Read(prog)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := waits.Read(prog, list)
	if err != nil {
		t.Fatal(err)
	}
	for i := range objects {
		for _, w := range objects[i].Waiters {
			frames := w.Calls()
			at := slices.IndexFunc(frames, func(f stacks.Frame) bool { return strings.HasPrefix(f.Function, "main.") })
			if w.Descriptor >= 0 && at >= 0 {
				lines = append(lines, fmt.Sprintf("%s %s %d %s", frames[at].Function, w.Action, w.Descriptor, objects[i].Kind))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// For each kind of descriptor, the number and the name are those that the program has. A full
// core has the numbers.
func TestDescriptors(t *testing.T) {
	needAMD64(t)
	for _, g := range targets() {
		t.Run(g.release+"/"+g.name, func(t *testing.T) {
			dir := sources(t, "descriptors")
			exe, table := compile(t, g, dir, "descriptors"), filepath.Join(dir, "table")
			p := start(t, exe, table)
			text, err := os.ReadFile(table)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Split(strings.TrimSpace(string(text)), "\n")
			slices.Sort(want)
			for _, stop := range []capture.Stop{capture.StopAlways, capture.StopNever} {
				core, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: stop})
				if diff := gocmp.Diff(want, descriptorLines(t, core)); diff != "" {
					t.Errorf("%v: %s", stop, diff)
				}
			}

			filtered, _ := filter(t, fullCore(t, p.Process.Pid), fullcore.Options{}, capture.Options{})
			named := regexp.MustCompile(`^(\S+) (\S+) (\d+) .*`)
			for i, line := range want {
				want[i] = named.ReplaceAllString(line, "$1 $2 $3 IO wait")
				if !strings.Contains(line, " send ") {
					want[i] = named.ReplaceAllString(line, "$1 wait $3 IO wait")
				}
			}
			slices.Sort(want)
			if diff := gocmp.Diff(want, descriptorLines(t, filtered)); diff != "" {
				t.Errorf("of a full core: %s", diff)
			}
		})
	}
}
