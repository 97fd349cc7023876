//go:build linux

package crash

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/matrix"
)

// herd is how many programs end at once.
func herd() int {
	return matrix.Choose(40, 200)
}

// The limits of core-handler hold when many processes dump core at once, and what
// they refuse is counted.
func TestCoreHandlerHerd(t *testing.T) {
	program := exec.Command(crasher.Build(t, crasher.Plain), "wait")
	printed := must(program.StdoutPipe())
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer program.Wait()
	defer program.Process.Kill()
	must(printed.Read(make([]byte, 100)))

	dir := t.TempDir()
	handle := func(limit string) (status int, out string) {
		cmd := exec.Command(tool(t), "core-handler", "--dir", dir, "--keep=0", "--limit", limit, strconv.Itoa(program.Process.Pid), "6", "crasher")
		text, _ := cmd.CombinedOutput() // the status counts
		return cmd.ProcessState.ExitCode(), string(text)
	}
	tool(t) // is built before the herd starts
	var all sync.WaitGroup
	var mu sync.Mutex
	captured, refused := 0, 0
	for range herd() {
		all.Go(func() {
			status, out := handle("3/1h")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case status == 0 || status == 3:
				captured++
			case status == 2 && (strings.Contains(out, "rate limit for signal-sigabrt reached") || strings.Contains(out, "the limits are locked by others")):
				refused++
			default:
				t.Errorf("exit status %d: %s", status, out)
			}
		})
	}
	all.Wait()
	cores := must(filepath.Glob(filepath.Join(dir, "*.core")))
	if captured != 3 || len(cores) != 3 || refused != herd()-3 {
		t.Errorf("%d were captured and %d refused: %d cores", captured, refused, len(cores))
	}
	handle("1000/1h")
	checkSuppressed(t, dir, herd()-3)
}

// checkSuppressed fails unless the last of four cores in dir counts what was refused.
func checkSuppressed(t *testing.T, dir string, refused int) {
	t.Helper()
	cores := must(filepath.Glob(filepath.Join(dir, "*.core")))
	if len(cores) != 4 {
		t.Fatalf("%d cores after one more, without a limit that is reached", len(cores))
	}
	var all bytes.Buffer
	for _, core := range cores {
		all.Write(must(command(t, "info", core)))
	}
	if want := fmt.Sprintf("suppressed: %d\n", refused); strings.Count(all.String(), "suppressed: ") != 1 || !strings.Contains(all.String(), want) {
		t.Errorf("no %q in\n%s", want, &all)
	}
}

// The same with the kernel as the caller. It changes a setting of the whole host, see
// TestCoreHandler.
func TestCoreHandlerHerdOfTheKernel(t *testing.T) {
	handler := installable(t)
	program := crasher.Build(t, crasher.Plain)
	uninstall := handler.install(t, "--keep=0", "--limit=3/1h")
	crash := func(n int) {
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				cmd := exec.Command(program, "panic")
				cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
				_ = cmd.Run() // ends by SIGABRT, when the handler has ended
			})
		}
		all.Wait()
	}
	crash(herd())
	handler.wait(t)
	uninstall()
	if cores := must(filepath.Glob(handler.cores + "/*.core")); len(cores) != 3 {
		t.Errorf("%d cores of %d crashes", len(cores), herd())
	}
	uninstall = handler.install(t, "--keep=0", "--limit=1000/1h")
	crash(1)
	handler.wait(t)
	uninstall()
	checkSuppressed(t, handler.cores, herd()-3)
}

// wait returns when no process of the handler's executable is left.
func (h *installed) wait(t *testing.T) {
	t.Helper()
	await.True(t, "all handlers end", func() bool {
		return !slices.ContainsFunc(must(filepath.Glob("/proc/[0-9]*/exe")), func(exe string) bool {
			target, _ := os.Readlink(exe)
			return target == h.tool
		})
	})
}
