//go:build linux

package privacy

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/matrix"
)

// fillPattern is what the fill pattern looks like in the output of a reader that takes it
// for a value. Digits of a longer number, such as a duration, are not it.
var fillPattern = regexp.MustCompile(`\\xa5|` + "\u00a5" + `|a5a5a5|` +
	`(^|[^0-9.])(-6510615555426900571|11936128518282651045|-1515870811|2779096485|42405|-23131|-91)($|[^0-9])`)

// readers are the command lines that print what a core has.
var readers = [][]string{
	{"print"}, {"print", "--json"}, {"report"}, {"report", "--json"}, {"goroutines"}, {"goroutines", "--json"}, {"goroutines", "--group"},
	{"waits"}, {"waits", "--json"}, {"regions"}, {"info"}, {"log"},
}

// TestFillIsNoValue: no reader prints the fill pattern as a value, whatever a
// capture left out. A value of which something is missing is not called complete.
func TestFillIsNoValue(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another process' registers are read on amd64 only")
	}
	tally := matrix.NewTally(t)
	for i, cgo := range []string{"0", "1"} {
		exe := filepath.Join(t.TempDir(), "shown")
		build := exec.Command("go", "build", "-o", exe, "../testdata/shown")
		build.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		cmd := exec.Command(exe, "127.0.0.1:80")
		cmd.Env = append(os.Environ(), "SHOWN=in the environment")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
			t.Fatal(err)
		}
		n := i
		for _, c := range captures() {
			for _, limit := range []struct {
				budget, region uint64
				depth          int
			}{{}, {budget: 64 << 10}, {region: 100}, {depth: 1}} {
				if n++; !full && n%51 != 5 {
					tally.Skip(1)
					continue
				}
				c.Budget, c.RegionBudget, c.Depth = limit.budget, limit.region, limit.depth
				tally.Run(fmt.Sprintf("%s, cgo %s, %+v", c.name, cgo, limit), func(t *testing.T) {
					core, err := capture.Capture(context.Background(), cmd.Process.Pid, c.Options)
					if err != nil {
						t.Fatal(err)
					}
					path := filepath.Join(t.TempDir(), "shown.core")
					if err := corefile.Save(path, corefile.Form{}, corefile.From(core)); err != nil {
						t.Fatal(err)
					}
					checkReaders(t, path)
				})
			}
		}
	}
}

// checkReaders fails the test if a reader prints the fill pattern of a core.
func checkReaders(t *testing.T, path string) {
	t.Helper()
	for _, reader := range readers {
		out, _ := exec.Command(tool, append(reader[:len(reader):len(reader)], path)...).CombinedOutput() // what is missing is another test's
		for _, line := range strings.Split(string(out), "\n") {
			if fillPattern.MatchString(line) || strings.Contains(line, "\xa5\xa5") {
				t.Errorf("%v prints the fill pattern: %.200s", reader, line)
			}
		}
	}
	missing := map[string]bool{}
	out, _ := exec.Command(tool, "print", path).CombinedOutput()
	for _, name := range []string{"argument", "environment", "jobs", "names", "accounts", "raw", "buffer"} {
		_, text, _ := strings.Cut(string(out), "\nmain."+name+" = ")
		if name == "accounts" {
			_, text, _ = strings.Cut(string(out), "main."+name+" = ")
		}
		text, _, _ = strings.Cut(text, "\nmain.")
		missing[name] = strings.Contains(text, "redacted") || strings.Contains(text, "not captured") || strings.Contains(text, "unreadable")
	}
	regions, err := exec.Command(tool, "regions", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(regions), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 4 && missing[fields[1]] && strings.Contains(line, "  complete  ") {
			t.Errorf("something is missing of a complete region: %s", line)
		}
	}
}
