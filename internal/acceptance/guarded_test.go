//go:build linux

package acceptance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
)

// Goroutines that handle secrets under package runtime/secret have at most
// skeletons, whether they sleep or run and whatever stacks are requested: the
// core has their traces but not their words. A goroutine that does the same
// without the package has its words in the core, and a full core has all of
// them.
func TestRuntimeSecret(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	for i, release := range []string{"1.27.3", "1.26.8"} {
		if i > 0 && !full {
			continue
		}
		t.Run(release, func(t *testing.T) {
			g := goal{release, way{"plain", []string{"CGO_ENABLED=0", "GOEXPERIMENT=runtimesecret"}, nil}}
			exe := compile(t, g, sources(t, "guarded"), "guarded")
			p := start(t, exe)
			for _, seed := range []uint64{1001, 1002, 1003} {
				if held(t, fullCore(t, p.Process.Pid), seed) == 0 {
					t.Fatalf("the process itself does not hold the words of %d", seed)
				}
			}
			for _, c := range []struct {
				name string
				opts capture.Options
			}{
				{"default", capture.Options{Stop: capture.StopAlways}},
				{"full stacks", capture.Options{Stop: capture.StopAlways, Stacks: capture.StacksFull}},
				{"skeletons", capture.Options{Stop: capture.StopAlways, Stacks: capture.StacksSkeleton}},
				{"data", capture.Options{Stop: capture.StopAlways, Mode: capture.Data}},
				{"running", capture.Options{Stop: capture.StopNever, Stacks: capture.StacksFull}},
			} {
				core, summary := takeUninterrupted(t, exe, p.Process.Pid, c.opts)
				for _, seed := range []uint64{1001, 1002} {
					if n := held(t, core, seed); n > 0 {
						t.Errorf("%s: the core holds %d secret words of %d", c.name, n, seed)
					}
				}
				if open := held(t, core, 1003); (open > 0) != (c.opts.Stacks != capture.StacksSkeleton) {
					t.Errorf("%s: the core holds %d words of a goroutine without secrets", c.name, open)
				}
				if summary.Goroutines.Captured != summary.Goroutines.All {
					t.Errorf("%s: %+v", c.name, summary.Goroutines)
				}
				printed := strings.Join(delve(t, exe, core, "goroutines -t"), "\n")
				if c.opts.Stop == capture.StopAlways && (!strings.Contains(printed, "main.compute") || strings.Count(printed, "main.sleep") < 2) {
					t.Errorf("%s: Delve reports\n%s", c.name, printed)
				}
			}
			interruptSecrets(t, p.Process.Pid)
		})
	}
}

// interruptSecrets sends signals to all threads while it captures. Before a handler runs,
// the kernel saves the registers of what it interrupts, which may hold a secret word, on
// the handler's stack.
func interruptSecrets(t *testing.T, pid int) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			for _, task := range tasks {
				if tid, err := strconv.Atoi(task.Name()); err == nil {
					_ = unix.Tgkill(pid, tid, unix.SIGURG)
				}
			}
		}
	})
	defer sender.Wait()
	defer close(end)
	for range 40 {
		core, _ := takeCore(t, pid, capture.Options{Stop: capture.StopAlways, Stacks: capture.StacksFull})
		for _, seed := range []uint64{1001, 1002} {
			if n := held(t, core, seed); n > 0 {
				t.Errorf("interrupted: the core holds %d secret words of %d", n, seed)
			}
		}
	}
}

// held counts those of testdata/guarded's words that a core holds, in either
// byte order.
func held(t *testing.T, core string, seed uint64) (n int) {
	t.Helper()
	data, err := os.ReadFile(core)
	if err != nil {
		t.Fatal(err)
	}
	for range 64 {
		seed ^= seed >> 29
		seed = seed*0xbf58476d1ce4e5b9 + 1
		if bytes.Contains(data, binary.LittleEndian.AppendUint64(nil, seed)) || bytes.Contains(data, binary.BigEndian.AppendUint64(nil, seed)) {
			n++
		}
	}
	return n
}
