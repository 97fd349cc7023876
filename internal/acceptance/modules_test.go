//go:build linux

package acceptance

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/matrix"
)

// Whatever writes a core: elfutils find the program in it with its GNU build ID,
// and Delve's list of goroutines ends.
func TestProgramOfEveryCore(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	debuggers.Need(t, "eu-unstrip")
	writers := append(slices.Clone(coreWriters), coreWriter{"strict capture", 1, []string{"capture", "--strict"}}, coreWriter{name: "strict own core", column: 3})
	meminspect := tool(t)
	tally := matrix.NewTally(t)
	for i, w := range []way{
		{"plain", []string{"CGO_ENABLED=0"}, nil},
		{"pie", []string{"CGO_ENABLED=0"}, []string{"-buildmode=pie"}},
		{"cgo-pie", []string{"CGO_ENABLED=1"}, []string{"-tags=withcgo", "-buildmode=pie"}},
		{"stripped", []string{"CGO_ENABLED=0"}, []string{"-ldflags=-s -w"}},
		{"1.27.3", []string{"CGO_ENABLED=0", "GOTOOLCHAIN=go1.27.3"}, nil},
	} {
		if i >= 2 && !full {
			tally.Skip(len(writers))
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			exe := build(t, "statuses", w.env, w.flags...)
			notes, err := exec.Command(debuggers.Need(t, "readelf"), "-n", exe).Output()
			if err != nil {
				t.Fatal(err)
			}
			id := regexp.MustCompile(`Build ID: ([0-9a-f]+)`).FindSubmatch(notes)
			if id == nil {
				t.Fatalf("%s has no GNU build ID:\n%s", exe, notes)
			}
			for _, writer := range writers {
				tally.RunIn(t, writer.name, func(t *testing.T) {
					core := (&statusRun{region: "number", tool: meminspect, exe: exe}).write(t, writer)
					out, err := exec.Command(debuggers.Need(t, "eu-unstrip"), "-n", "--core="+core).CombinedOutput()
					if want := " " + string(id[1]) + "@0x"; err != nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), " "+exe+"\n") {
						t.Errorf("eu-unstrip: %v, want %s and %s in\n%s", err, want, exe, out)
					}
					if text := debuggers.DelveSays(t, exe, core, "goroutines", `print "ended"`); !strings.Contains(text, `"ended"`) {
						t.Errorf("Delve's list of goroutines does not end:\n%.1000s", text)
					}
				})
			}
		})
	}
}
