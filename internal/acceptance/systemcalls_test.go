//go:build linux

package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/inspect/waits"
)

// systemCallLines returns the system calls that goroutines are in, as testdata/systemcalls
// writes them.
func systemCallLines(t *testing.T, path string) []string {
	t.Helper()
	return linesOfWaits(t, path, func(function string, o *waits.Object, w *waits.Waiter) string {
		if function == "" || !strings.HasPrefix(o.Kind, "system call ") {
			return ""
		}
		return fmt.Sprintf("%s %d %s", function, w.Descriptor, o.Kind)
	})
}

// fileSystem returns the file system of a directory, in the words of waits.
func fileSystem(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command(debuggers.Need(t, "findmnt"), "-n", "-o", "FSTYPE,TARGET", "-T", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n") // of several mounts in one place the last is seen
	kind, target, _ := strings.Cut(lines[len(lines)-1], " ")
	return kind + ", mounted at " + strings.TrimSpace(target)
}

// For each kind of system call, its name, its descriptor and what it is about are those that the
// program has, stopped or not. A full core has no names of descriptors. No core has the
// name of a file.
func TestSystemCalls(t *testing.T) {
	needAMD64(t)
	for _, g := range targets() {
		t.Run(g.release+"/"+g.name, func(t *testing.T) {
			exe := compile(t, g, sources(t, "systemcalls"), "systemcalls")
			table := filepath.Join(t.TempDir(), "table")
			p := start(t, exe, table, fileSystem(t, filepath.Dir(table)), fileSystem(t, "/dev/shm"))
			want := readLines(t, table)
			slices.Sort(want)
			for _, stop := range []capture.Stop{capture.StopAlways, capture.StopNever} {
				core, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: stop})
				if diff := gocmp.Diff(want, systemCallLines(t, core)); diff != "" {
					t.Errorf("%v: %s", stop, diff)
				}
				if data, err := os.ReadFile(core); err != nil || strings.Contains(string(data), "a secret name") {
					t.Errorf("%v: %v: the core has the name of a file", stop, err)
				}
				for i, line := range want { // the stop has interrupted the call
					want[i] = strings.Replace(line, "clock_nanosleep", "restart_syscall", 1)
				}
			}

			filtered, _ := filter(t, fullCore(t, p.Process.Pid), fullcore.Options{}, capture.Options{})
			named, command := regexp.MustCompile(`^(\S+ [0-9]+ system call \w+): .*`), regexp.MustCompile(` \(cat\)$`)
			for i, line := range want {
				want[i] = command.ReplaceAllString(named.ReplaceAllString(line, "$1"), "")
			}
			if diff := gocmp.Diff(want, systemCallLines(t, filtered)); diff != "" {
				t.Errorf("of a full core: %s", diff)
			}
		})
	}
}
