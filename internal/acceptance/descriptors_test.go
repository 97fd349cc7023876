//go:build linux

package acceptance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/inspect/waits"
)

// descriptorLines returns the descriptors for which goroutines wait, as testdata/descriptors
// writes them.
func descriptorLines(t *testing.T, path string) []string {
	t.Helper()
	return linesOfWaits(t, path, func(function string, o *waits.Object, w *waits.Waiter) string {
		if function == "" || w.Descriptor < 0 || w.State != goroutine.PollState {
			return ""
		}
		return fmt.Sprintf("%s %s %d %s", function, w.Action, w.Descriptor, o.Kind)
	})
}

// For each kind of descriptor, the number and the name are those that the program has, also
// while it shuts down or after its main thread has ended alone. A full core has the numbers. No core has the address of a client.
func TestDescriptors(t *testing.T) {
	needAMD64(t)
	for _, g := range targets() {
		t.Run(g.release+"/"+g.name, func(t *testing.T) {
			exe := compile(t, g, sources(t, "descriptors"), "descriptors")
			checkDescriptors(t, exe)
			checkDescriptors(t, exe, "shut")
			checkDescriptors(t, exe, "mainless")
		})
	}
}

func checkDescriptors(t *testing.T, exe string, args ...string) {
	t.Helper()
	table := filepath.Join(t.TempDir(), "table")
	p := start(t, exe, append([]string{table}, args...)...)
	if slices.Contains(args, "mainless") {
		await.True(t, "the main thread has ended", func() bool { return p.state(t) == "Z" })
	}
	want := readLines(t, table)
	slices.Sort(want)
	clients := readLines(t, table+".clients")
	for _, stop := range []capture.Stop{capture.StopAlways, capture.StopNever} {
		core, _ := takeCore(t, p.Process.Pid, capture.Options{Stop: stop})
		if diff := gocmp.Diff(want, descriptorLines(t, core)); diff != "" {
			t.Errorf("%v, %v: %s", args, stop, diff)
		}
		data, err := os.ReadFile(core)
		if err != nil {
			t.Fatal(err)
		}
		for _, client := range clients {
			if at := bytes.Index(data, []byte(client)); at >= 0 {
				t.Errorf("%v: the core has the address %s of a client at %#x: %q", stop, client, at, data[max(at-200, 0):min(at+200, len(data))])
			}
		}
	}

	if slices.Contains(args, "mainless") {
		return // gdb does not read it
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
		t.Errorf("%v, of a full core: %s", args, diff)
	}
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}
