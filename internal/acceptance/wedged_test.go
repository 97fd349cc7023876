//go:build linux

package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// A program that hangs is captured whatever it hangs in, and its values are
// those that it had.
func TestWedged(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	plain := build(t, "wedged", []string{"CGO_ENABLED=0"})
	cgo := build(t, "wedged", []string{"CGO_ENABLED=1"}, "-tags=withcgo")
	for _, c := range []struct {
		how, exe, serial string
		stopped          bool
	}{
		{"sleep", plain, "41", false},
		{"sleep", plain, "41", true},
		{"deadlock", plain, "41", false},
		{"loop", plain, "41", false},
		{"descriptors", plain, "41", false},
		{"init", plain, "4", false},
		{"init", plain, "4", true},
		{"c", cgo, "41", false},
		{"c", cgo, "41", true},
	} {
		name := c.how
		if c.stopped {
			name += "-sigstop"
		}
		t.Run(name, func(t *testing.T) {
			p := start(t, c.exe, c.how)
			if c.stopped {
				p.freeze(t)
			}
			for _, stop := range []capture.Stop{capture.StopAlways, capture.StopNever} {
				core, summary := takeCore(t, p.Process.Pid, capture.Options{Stop: stop})
				if summary.Regions.All != 2 || summary.Regions.Complete != 2 {
					t.Errorf("stop=%v: %+v", stop, summary)
				}
				values := debuggers.MustDelve(t, c.exe, core, "main.serial", "len(main.orders)", "main.plain")
				if values[0] != c.serial || values[2] != marked {
					t.Errorf("stop=%v: Delve prints %q", stop, values)
				}
				if c.how == "init" {
					continue
				}
				if values[1] != "3" {
					t.Errorf("stop=%v: %s orders", stop, values[1])
				}
				order := debuggers.MustDelve(t, c.exe, core, `*main.orders["order2"]`)
				if want := `main.order {Customer: "customer 2", Items: []string len: 2, cap: 2, ["tea","cake"], Total: 200}`; flat(order[0]) != flat(want) {
					t.Errorf("stop=%v: Delve prints %s", stop, order[0])
				}
			}
			if got := p.state(t); c.stopped != (got == "T") || got == "t" || got == "Z" {
				t.Errorf("afterwards the program is in state %s", got)
			}
		})
	}
}

// flat takes line breaks out of what Delve prints.
func flat(s string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("\n", " ", "\t", " ", ",}", "}", ", }", "}").Replace(s)), "")
}

// A program under full load is captured again and again: every core is one,
// nothing of it is left stopped, it never dies.
func TestCapturesUnderLoad(t *testing.T) {
	n := 50
	if full {
		n = 500
	}
	exe := build(t, "wedged", []string{"CGO_ENABLED=0"})
	p := start(t, exe, "busy")
	torn := 0
	for i := range n {
		opts := capture.Options{Stop: capture.StopAlways}
		if i%5 == 4 {
			opts.Stop = capture.StopNever
		}
		c, err := capture.Capture(context.Background(), p.Process.Pid, opts)
		if err != nil {
			t.Fatalf("capture %d: %v", i, err)
		}
		s := c.Summary()
		if opts.Stop == capture.StopAlways && (s.Threads.Captured != s.Threads.All || s.Goroutines.Captured != s.Goroutines.All) {
			t.Errorf("capture %d: %+v", i, s)
		}
		torn += s.Regions.Torn
		if opts.Stop == capture.StopAlways && s.Regions.Complete+s.Regions.Torn < 2 {
			t.Errorf("capture %d: %+v", i, s)
		}
		var b bytes.Buffer
		if _, err := c.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		f, err := elfcore.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil || f.Missing() != 0 {
			t.Fatalf("capture %d is no core: %v", i, err)
		}
		if i%(n/5) == 0 {
			core := filepath.Join(t.TempDir(), "core")
			if err := os.WriteFile(core, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			printed := debuggers.DelveSays(t, exe, core, "goroutines", "print main.serial", "print main.orders")
			if strings.Contains(printed, "unreadable") && opts.Stop == capture.StopAlways || !strings.Contains(printed, "goroutines]") {
				t.Errorf("capture %d: Delve reports\n%s", i, printed)
			}
		}
	}
	t.Logf("%d captures, %d regions caught in the middle of a change", n, torn)
	alive(t, p)
}

// alive checks that the program runs: its processor time grows.
func alive(t *testing.T, p *running) {
	t.Helper()
	before := ticks(t, p)
	if !await.Poll(func() bool { return ticks(t, p) > before }) {
		t.Errorf("the program does not continue; it is in state %s", p.state(t))
	}
}

func ticks(t *testing.T, p *running) (n int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if _, err := fmt.Sscan(fields[11], &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A collector that is killed at any moment leaves its program running, and no
// file under a core's name.
func TestCollectorKilled(t *testing.T) {
	exe := build(t, "wedged", []string{"CGO_ENABLED=0"})
	tool := filepath.Join(t.TempDir(), "meminspect")
	if out, err := exec.Command("go", "build", "-o", tool, "../../cmd/meminspect").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := start(t, exe, "busy")
	n := 20
	if full {
		n = 200
	}
	dir := t.TempDir()
	killed := 0
	for range n {
		cmd := exec.Command(tool, "capture", "--stop", "-q", fmt.Sprint(p.Process.Pid))
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) // any moment of a capture
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
			killed++
		}
		alive(t, p)
	}
	if killed == 0 {
		t.Error("every collector was done before it was killed")
	}
	cores, _ := filepath.Glob(filepath.Join(dir, "*.core"))
	for _, core := range cores {
		f, err := os.Open(core)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := f.Stat()
		if file, err := elfcore.Open(f, info.Size()); err != nil || file.Missing() > 0 {
			t.Errorf("%s is half a core: %v", core, err)
		}
		f.Close()
	}
	t.Logf("%d collectors of %d were killed at work, %d cores", killed, n, len(cores))
}
