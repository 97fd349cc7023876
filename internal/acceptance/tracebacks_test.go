//go:build linux

package acceptance

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/runtime/format/note"
)

var (
	header     = regexp.MustCompile(`(?m)^goroutine [1-9]\d* .*:$`)
	textsOwn   = regexp.MustCompile(` gp=0x[0-9a-f]+ m=(?:nil|\d+ mp=0x[0-9a-f]+)`)
	coresOwn   = regexp.MustCompile(` \((?:failed, )?thread \d+\):$`)
	unsettled  = regexp.MustCompile(`^(?:running|runnable|copystack|preempted|stopping the world|wait for GC cycle)`)
	textLabels = "GODEBUG=tracebacklabels=1"
)

// headers returns the first lines of goroutines, sorted, without what other
// matches.
func headers(text []byte, other *regexp.Regexp, with string) (lines []string) {
	for _, line := range header.FindAllString(string(text), -1) {
		lines = append(lines, other.ReplaceAllString(line, with))
	}
	slices.Sort(lines)
	return lines
}

// The states of goroutines, how many minutes they wait, that they are locked to
// their threads, and their labels are those of the program's own traceback, in
// its words, for every release.
func TestStatesAsInTraceback(t *testing.T) {
	needAMD64(t)
	tally := matrix.NewTally(t)
	for i, release := range []string{"1.27.3", "1.21.13", "1.26.8", "1.22.12", "1.23.12", "1.24.9", "1.25.5"} {
		if i >= 2 && !full {
			tally.Skip(1)
			continue
		}
		tally.Run(release, func(t *testing.T) {
			exe := compile(t, goal{release, way{"plain", []string{"CGO_ENABLED=0"}, nil}}, sources(t, "waiting"), "waiting")
			p := exec.Command(exe)
			p.Env = append(os.Environ(), "GOTRACEBACK=system")
			opts := capture.Options{Stop: capture.StopAlways}
			if release == "1.27.3" { // before, the text has no labels or another form of them
				p.Env, opts.Labels = append(p.Env, textLabels), true
			}
			var text bytes.Buffer
			p.Stderr = &text
			out, err := p.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			ended := false
			defer func() {
				if !ended {
					p.Process.Kill()
					p.Wait()
				}
			}()
			if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			waitLonger(t, settledCore(t, p.Process.Pid, opts), p.Process.Pid, 150*time.Second)

			core := settledCore(t, p.Process.Pid, opts)
			ours, err := exec.Command(tool(t), "goroutines", core).Output()
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Process.Signal(syscall.SIGQUIT); err != nil {
				t.Fatal(err)
			}
			_ = p.Wait() // the program ends with status 2
			ended = true
			// The scavenger may wake up between the two.
			got, want := headers(scavenging.ReplaceAll(ours, []byte("$1")), coresOwn, ":"), headers(scavenging.ReplaceAll(text.Bytes(), []byte("$1")), textsOwn, "")
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("from the traceback (-) to goroutines (+):\n%s", diff)
			}
			all := strings.Join(want, "\n")
			for _, state := range []string{"[chan receive, 2 minutes]", "[chan receive, 2 minutes, locked to thread]", "[syscall, 2 minutes, locked to thread]", "[select (no cases), 2 minutes]", "[IO wait, 2 minutes]"} {
				if !strings.Contains(all, state) {
					t.Errorf("no goroutine is %s:\n%s", state, all)
				}
			}
			if opts.Labels && !strings.Contains(all, ` {queue: mail/in.1, user: "ada \"l\"\n"}`) {
				t.Errorf("no goroutine has labels:\n%s", all)
			}
		})
	}
}

// scavenging is the scavenger's state and how long it has waited.
var scavenging = regexp.MustCompile(`(\[GC scavenge wait), \d+ minutes`)

// settledCore captures a process when its goroutines have come to rest.
func settledCore(t *testing.T, pid int, opts capture.Options) (core string) {
	t.Helper()
	await.True(t, "the goroutines come to rest", func() bool {
		core, _ = takeCore(t, pid, opts)
		list, _, err := stacks.Read(openProgram(t, core))
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(list, func(g stacks.Goroutine) bool {
			scavenger := slices.ContainsFunc(g.Frames, func(f stacks.Frame) bool { return f.Function == "runtime.bgscavenge" })
			return unsettled.MatchString(g.State) || g.State == "sleep" && (scavenger || g.ID == 1)
		})
	})
	return core
}

// waitLonger changes the program's memory: all goroutines of which the core has
// the time since when they wait have waited so much longer.
func waitLonger(t *testing.T, core string, pid int, by time.Duration) {
	t.Helper()
	prog := openProgram(t, core)
	desc, _ := prog.Core.Note(note.Owner, note.TypeGoroutines)
	list, err := note.DecodeGoroutines(desc)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := goroutine.LayoutOf(prog.Go.Version)
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	pointers := memory.Reader{Memory: prog.Memory()}
	b := make([]byte, layout.Size)
	for i := range list.Length {
		addr, err := pointers.Pointer(memory.Address(list.List).Add(i * memory.PtrSize))
		if err != nil {
			t.Fatal(err)
		}
		if !prog.Read(b, addr) {
			t.Fatalf("runtime.g at %v is not in the core", addr)
		}
		g, err := layout.Decode(addr, b)
		if err != nil {
			t.Fatal(err)
		}
		if g.WaitSince == 0 {
			continue
		}
		at := bytes.Index(b, binary.LittleEndian.AppendUint64(nil, uint64(g.WaitSince)))
		if _, err := mem.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(g.WaitSince-int64(by))), int64(addr)+int64(at)); err != nil {
			t.Fatal(err)
		}
	}
}
