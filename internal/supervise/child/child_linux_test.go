package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/crasher"
)

func TestMain(m *testing.M) {
	status := m.Run()
	crasher.Clean()
	os.Exit(status)
}

// start starts the crasher with its standard output and error in a file.
func start(tb testing.TB, seize bool, variant crasher.Variant, args ...string) (*Child, *os.File) {
	tb.Helper()
	tracer := process.NewTracer()
	tb.Cleanup(func() { tracer.Close() })
	out, err := os.Create(tb.TempDir() + "/out")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { out.Close() })
	path := crasher.Build(tb, variant)
	c, notSeized, err := Start(Command{Path: path, Args: append([]string{path}, args...), Env: os.Environ(),
		Files: []uintptr{^uintptr(0), out.Fd(), out.Fd()}}, tracer, seize)
	if err != nil {
		tb.Fatal(err)
	}
	if seize && (notSeized != nil || !c.Seized()) {
		tb.Fatal("not seized: ", notSeized)
	}
	tb.Cleanup(func() { unix.Kill(-c.PID, unix.SIGKILL) })
	return c, out
}

// seizable skips the test if ptrace is not available.
func seizable(tb testing.TB) {
	tb.Helper()
	c, _ := start(tb, false, crasher.Plain, "wait")
	err := c.Seize()
	unix.Kill(c.PID, unix.SIGKILL)
	c.Wait(Events{})
	if errors.Is(err, unix.EPERM) {
		tb.Skip("ptrace is not allowed here: ", err)
	}
}

// readable checks that the process has its memory, with the expected words at
// its start.
func readable(pid int) error {
	var addr uintptr
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "/crasher-") {
			if _, err := fmt.Sscanf(line, "%x-", &addr); err != nil {
				return err
			}
			break
		}
	}
	buf := make([]byte, 4)
	_, err = unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &buf[0], Len: 4}}, []unix.RemoteIovec{{Base: addr, Len: 4}}, 0)
	if err == nil && string(buf) != "\x7fELF" {
		err = fmt.Errorf("read %q", buf)
	}
	return err
}

// At each end the program stops once, with its memory complete, and its end is
// the same as without a supervisor.
func TestExitStop(t *testing.T) {
	seizable(t)
	for _, c := range []struct {
		variant crasher.Variant
		way     string
		end     unix.WaitStatus
	}{
		{crasher.Plain, "exit0", 0},
		{crasher.Plain, "exit3", 3 << 8},
		{crasher.Plain, "sigkill", unix.WaitStatus(unix.SIGKILL)},
		{crasher.Plain, "sigterm", unix.WaitStatus(unix.SIGTERM)},
		{crasher.Plain, "panic", 2 << 8},
		{crasher.Plain, "sigquit", 2 << 8},
		{crasher.PIE, "exit3", 3 << 8},
		{crasher.Cgo, "exit3", 3 << 8},
		{crasher.Cgo, "cthreadfault", unix.WaitStatus(unix.SIGSEGV)},
		{crasher.Cgo, "cfault", 2 << 8},
		{crasher.Race, "sigkill", unix.WaitStatus(unix.SIGKILL)},
	} {
		t.Run(string(c.variant)+"/"+c.way, func(t *testing.T) {
			t.Parallel()
			child, out := start(t, true, c.variant, c.way)
			stops := 0
			status, err := child.Wait(Events{Exiting: func(end unix.WaitStatus) {
				stops++
				if end&^0x80 != c.end {
					t.Errorf("the end announced is %#x", end)
				}
				err := child.Capture(context.Background(), func(main *process.Tracer, held bool, _ func()) error {
					if main == nil || !held {
						t.Errorf("main thread's tracer %v, held %v", main, held)
					}
					return readable(child.PID)
				})
				if err != nil {
					t.Error(err)
				}
			}})
			text, _ := os.ReadFile(out.Name())
			if err != nil || status&^0x80 != c.end || stops != 1 {
				t.Errorf("ended with %#x, %v, after %d stops; it printed %.300s", status, err, stops, text)
			}
		})
	}
}

// Any thread may replace the program; the new one is watched too.
func TestExec(t *testing.T) {
	seizable(t)
	child, _ := start(t, true, crasher.Plain, "again")
	var ends []unix.WaitStatus
	status, err := child.Wait(Events{Exiting: func(end unix.WaitStatus) { ends = append(ends, end) }})
	if err != nil || status.ExitStatus() != 4 {
		t.Fatalf("%#x, %v", status, err)
	}
	if len(ends) == 0 || ends[len(ends)-1] != 4<<8 {
		t.Errorf("stops at %#x", ends)
	}
}

// Job control works, seized or not: the stop is reported, and it ends.
func TestJobControl(t *testing.T) {
	for _, seize := range []bool{false, true} {
		t.Run(fmt.Sprint("seized=", seize), func(t *testing.T) {
			if seize {
				seizable(t)
			}
			child, out := start(t, seize, crasher.Plain, "signals")
			stopped := make(chan unix.Signal, 10)
			var ended atomic.Bool
			go func() {
				await.Poll(func() bool { return wrote(out, "ready") })
				for range 3 {
					unix.Kill(child.PID, unix.SIGSTOP)
					<-stopped
					child.Signal(unix.SIGCONT)
				}
				unix.Kill(child.PID, unix.SIGUSR1)
				await.Poll(func() bool { return wrote(out, "user defined signal 1") })
				unix.Kill(child.PID, unix.SIGTERM)
				if !await.Poll(ended.Load) {
					unix.Kill(child.PID, unix.SIGKILL)
				}
			}()
			status, err := child.Wait(Events{Stopped: func(s unix.Signal) { stopped <- s }})
			ended.Store(true)
			text, _ := os.ReadFile(out.Name())
			if err != nil || status.ExitStatus() != 5 || strings.Count(string(text), "got continued") == 0 {
				t.Errorf("%#x, %v; it printed %s", status, err, text)
			}
		})
	}
}

// An exit stop during a capture is handled after it, also for a program that
// another process started.
func TestEndDuringCapture(t *testing.T) {
	seizable(t)
	for round := range 30 {
		cmd := exec.Command("sh", "-c", "sleep 60 & echo $!; wait")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var pid int
		if _, err := fmt.Fscan(out, &pid); err != nil {
			t.Fatal(err)
		}
		await.True(t, "the script becomes sleep", func() bool {
			name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			return err == nil && string(name) == "sleep\n"
		})
		keeper := process.NewTracer()
		c, err := Attach(pid, keeper)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Seize(); err != nil {
			t.Fatal(err)
		}
		ended, exits := make(chan error, 1), make(chan bool, 2)
		go func() {
			_, err := c.Wait(Events{Exiting: func(unix.WaitStatus) { exits <- true }})
			ended <- err
		}()
		err = c.Capture(context.Background(), func(main *process.Tracer, held bool, _ func()) error {
			p, err := process.Open(pid)
			if err != nil {
				return err
			}
			defer p.Close()
			s, err := process.Stop(context.Background(), p, process.StopOptions{Main: main, MainHeld: held})
			if err != nil {
				return err
			}
			unix.Kill(pid, unix.SIGKILL)
			time.Sleep(time.Duration(round%3) * time.Millisecond) // it is released at different moments of its end
			s.Resume()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("round %d: Wait does not learn of the end", round)
		}
		if len(exits) != 1 {
			t.Errorf("round %d: %d exit stops", round, len(exits))
		}
		cmd.Wait()
		keeper.Close()
	}
}

// A signal that the keeper is about to pass on is not lost if the supervisor
// dies at that moment.
func TestSignalOutlivesKeeper(t *testing.T) {
	seizable(t)
	c, out := start(t, true, crasher.Plain, "signals")
	go c.Wait(Events{})
	await.True(t, "the program is ready", func() bool { return wrote(out, "ready") })
	busy, end := make(chan bool), make(chan bool)
	c.keeper.Go(func() {
		close(busy)
		<-end
		runtime.Goexit() // like a killed thread
	})
	<-busy
	// The kernel prefers the main thread for a signal to the process.
	unix.Kill(c.PID, unix.SIGUSR1)
	await.True(t, "the main thread is trapped", func() bool { n, err := process.Peek(c.PID, unix.WNOHANG); return err == nil && n.Trapped() })
	time.Sleep(20 * time.Millisecond) // until Wait sees it too, which leaves no trace
	close(end)
	await.True(t, "the program gets the signal", func() bool { return wrote(out, "user defined signal 1") })
}

// wrote reports whether a program wrote a text to a file.
func wrote(out *os.File, text string) bool {
	all, _ := os.ReadFile(out.Name())
	return strings.Contains(string(all), text)
}

// A program that is already traced is left to its tracer.
func TestTraced(t *testing.T) {
	seizable(t)
	first, _ := start(t, true, crasher.Plain, "wait")
	if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", Tracer(first.PID))); err != nil {
		t.Errorf("traced by %d", Tracer(first.PID))
	}
	other := newChild(process.NewTracer())
	other.PID = first.PID
	defer other.keeper.Close()
	if err := other.Seize(); !errors.Is(err, unix.EPERM) {
		t.Errorf("a second tracer got %v", err)
	}
	unix.Kill(first.PID, unix.SIGKILL)
	if status, err := first.Wait(Events{}); err != nil || status.Signal() != unix.SIGKILL {
		t.Errorf("%#x, %v", status, err)
	}
}

// A signal to the group does not reach us, and a signal of the program does not
// either.
func TestOwnGroup(t *testing.T) {
	child, _ := start(t, false, crasher.Plain, "killgroup")
	status, err := child.Wait(Events{})
	if err != nil || status.Signal() != unix.SIGKILL {
		t.Errorf("%#x, %v", status, err)
	}
}

// The program inherits the same descriptors as without a supervisor, under the
// same numbers.
func TestInherited(t *testing.T) {
	f, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(f.Fd())) // not closed on exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	files := Inherited()
	if len(files) <= fd || files[fd] != uintptr(fd) {
		t.Fatalf("%d is not in %v", fd, files)
	}
	if int(f.Fd()) < len(files) && files[f.Fd()] != ^uintptr(0) {
		t.Errorf("%d, closed on exec, is in %v", f.Fd(), files)
	}
	tracer := process.NewTracer()
	defer tracer.Close()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := Start(Command{Path: sh, Args: []string{"sh", "-c", fmt.Sprintf("test /proc/self/fd/%d -ef /dev/zero", fd)}, Files: files}, tracer, false)
	if err != nil {
		t.Fatal(err)
	}
	status, err := c.Wait(Events{})
	t.Log(status, c.Seized())
	if err != nil || status != 0 {
		t.Errorf("%#x, %v", status, err)
	}
}

// A program that is killed before its first instruction has ended, and was there.
func TestEndsBeforeItBegins(t *testing.T) {
	seizable(t)
	tracer := process.NewTracer()
	defer tracer.Close()
	// The filter is of the thread that starts it alone, and kills what asks to be traced.
	code := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_PTRACE, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	var errs [2]error
	_ = tracer.Do(func() {
		errs[0] = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		errs[1] = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
	})
	if err := errors.Join(errs[:]...); err != nil {
		t.Skip("no filter can be set here: ", err)
	}
	c, _, err := Start(Command{Path: "/proc/self/exe", Args: []string{"none"}, Files: []uintptr{0, 1, 2}}, tracer, true)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := c.Wait(Events{}); err != nil || !status.Signaled() || status.Signal() != unix.SIGSYS {
		t.Errorf("it ended with %v, %v", status, err)
	}
}
