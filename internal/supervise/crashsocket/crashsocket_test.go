//go:build linux

package crashsocket

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/internal/matrix"
	"github.com/meminspect/meminspect/runtime/format/crashenv"
)

func TestMain(m *testing.M) {
	status := m.Run()
	crasher.Clean()
	os.Exit(status)
}

type program struct {
	*exec.Cmd
	channel *testChannel
	socket  *Socket
	stderr  output
	stdout  output
	end     chan error
}

// An output can be read while a program writes it.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// start runs the crasher with a crash socket, and with more environment.
func start(t *testing.T, environ []string, args ...string) *program {
	t.Helper()
	p := startUnder(t, newChannel(t), environ, args...)
	r := accept(t, p.channel)
	// Other programs may have ended.
	if alive := r.Alive(); r.PID != p.Process.Pid || !alive && args[0] == "wait" {
		t.Fatalf("process %d registered, alive %v; want %d", r.PID, alive, p.Process.Pid)
	}
	p.socket = r.Socket
	return p
}

// A testChannel is a channel with the end for the programs.
type testChannel struct {
	*Channel
	programs *os.File
}

func newChannel(t *testing.T) *testChannel {
	t.Helper()
	c, programs, err := NewChannel()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); programs.Close() })
	return &testChannel{c, programs}
}

// environ is the variable of programs that find the channel under descriptor 3.
func (c *testChannel) environ(t *testing.T) string {
	t.Helper()
	inode, err := Inode(c.programs)
	if err != nil {
		t.Fatal(err)
	}
	return crashenv.Variable + "=" + crashenv.Value(3, inode)
}

// startUnder runs the crasher under a channel.
func startUnder(t *testing.T, c *testChannel, environ []string, args ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(crasher.Build(t, crasher.Plain), args...), channel: c, end: make(chan error, 1)}
	p.ExtraFiles = []*os.File{c.programs}
	p.Env = append(append(os.Environ(), c.environ(t)), environ...)
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.end <- p.Wait() }()
	t.Cleanup(func() { p.Process.Kill() })
	return p
}

// accept waits for the next program to register.
func accept(t *testing.T, c *testChannel) *Registered {
	t.Helper()
	c.file.SetReadDeadline(time.Now().Add(20 * time.Second))
	r, err := c.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func (p *program) wait(t *testing.T) {
	t.Helper()
	select {
	case <-p.end:
	case <-time.After(20 * time.Second):
		t.Fatalf("the program did not end; standard error: %.500s", p.stderr.String())
	}
}

// event waits for the socket's first event, with a limit.
func (p *program) event(t *testing.T) Event {
	t.Helper()
	p.socket.file.SetReadDeadline(time.Now().Add(20 * time.Second))
	e, err := p.socket.Wait()
	if err != nil {
		t.Fatalf("%v; standard error: %.500s", err, p.stderr.String())
	}
	p.socket.file.SetReadDeadline(time.Time{})
	return e
}

// held checks that the program is alive and readable.
func (p *program) held(t *testing.T) {
	t.Helper()
	time.Sleep(100 * time.Millisecond) // for a program that is not held to end
	select {
	case err := <-p.end:
		p.end <- err
		t.Fatalf("the program was not held: %v; standard error: %.500s", err, p.stderr.String())
	default:
	}
	var addr uintptr
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(maps), "%x-", &addr); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4)
	_, err = unix.ProcessVMReadv(p.Process.Pid, []unix.Iovec{{Base: &buf[0], Len: 4}}, []unix.RemoteIovec{{Base: addr, Len: 4}}, 0)
	if err != nil || string(buf) != "\x7fELF" {
		t.Fatalf("reading the held program: %q, %v", buf, err)
	}
}

// For every way to die and every level of GOTRACEBACK, the runtime's report
// stops the program; when released, the program ends as it does without a
// supervisor.
func TestHolds(t *testing.T) {
	cells := []struct {
		way, say string
		status   int // exit status, or a signal's number plus 128
	}{
		{"panic", "panic: it went wrong", 2},
		{"panic-error", "order 42", 2},
		{"panic-goexit", "in a goroutine of its own", 2},
		{"repanic", "again: first", 2},
		{"nil", "invalid memory address or nil pointer dereference", 2},
		{"throw", "", 2},
		{"map", "", 2},
		{"deadlock", "", 2},
		{"stack", "", 2},
		{"oom", "", 2},
		{"sigquit", "SIGQUIT: quit", 2},
		{"sigabrt", "SIGABRT: abort", 2},
		{"sigsegv", "SIGSEGV: segmentation violation", 2},
	}
	levels := []string{"none", "single", "all", "system", "crash"}
	for i, c := range cells {
		for j, level := range levels {
			if !matrix.Whole() && (i+j)%len(levels) != 0 && level != "none" {
				continue
			}
			t.Run(c.way+"/"+level, func(t *testing.T) {
				t.Parallel()
				p := start(t, []string{"GOTRACEBACK=" + level}, c.way)
				event := p.event(t)
				if level == "none" && (c.way == "map" || c.way == "throw" || c.way == "deadlock" || c.way == "stack" || c.way == "oom") {
					// These print everything before the runtime starts to copy.
					if event == Crash {
						t.Log("this Go holds", c.way, "under GOTRACEBACK=none")
					} else {
						p.wait(t)
						return
					}
				}
				if event != Crash {
					t.Fatalf("event %d; standard error: %.500s", event, p.stderr.String())
				}
				p.held(t)
				text, total, err := p.socket.Release(1<<20, time.Now().Add(20*time.Second))
				if err != nil {
					t.Fatal(err)
				}
				p.wait(t)
				if c.say != "" && !strings.Contains(string(text), c.say) {
					t.Errorf("the report does not say %q: %.300q", c.say, text)
				}
				if int64(len(text)) != total && total < 1<<20 {
					t.Errorf("%d of %d bytes", len(text), total)
				}
				if !strings.HasSuffix(p.stderr.String(), string(text)) && level != "crash" {
					t.Errorf("standard error is not what was reported:\n%s\nversus\n%s", p.stderr.String(), text)
				}
				if strings.ContainsRune(string(text), 0) {
					t.Error("our own bytes are in the report")
				}
				p.checkStatus(t, c.way, level)
			})
		}
	}
}

// checkStatus compares the exit status with that of the same program without a
// supervisor.
func (p *program) checkStatus(t *testing.T, way, level string) {
	t.Helper()
	alone := exec.Command(p.Path, way)
	alone.Env = append(os.Environ(), "GOTRACEBACK="+level)
	_ = alone.Run() // its status is compared
	if got, want := p.ProcessState.Sys(), alone.ProcessState.Sys(); got != want {
		t.Errorf("ended with %v, alone with %v", got, want)
	}
}

// A supervisor that dies, or that closes at its deadline, does not block the
// program.
func TestHolderGone(t *testing.T) {
	for _, way := range []string{"panic", "throw", "sigquit"} {
		t.Run(way, func(t *testing.T) {
			p := start(t, nil, way)
			p.event(t)
			p.held(t)
			began := time.Now()
			p.socket.Close()
			p.wait(t)
			// The runtime itself waits up to five seconds for threads that do not
			// answer.
			if d := time.Since(began); d > 8*time.Second {
				t.Errorf("it took %v to end", d)
			}
			p.checkStatus(t, way, "single")
		})
	}
	t.Run("before", func(t *testing.T) {
		p := start(t, nil, "wait")
		await.True(t, "the program is ready", func() bool { return strings.Contains(p.stdout.String(), "ready") })
		p.socket.Close()
		p.Process.Signal(syscall.SIGQUIT)
		p.wait(t)
		if p.ProcessState.ExitCode() != 2 {
			t.Errorf("ended with %v", p.ProcessState)
		}
	})
}

// Ends without a report, and programs that use the crash output themselves,
// give Closed.
func TestClosed(t *testing.T) {
	for _, args := range [][]string{{"exit0"}, {"exit3"}, {"sigkill"}, {"own", t.TempDir() + "/own"}} {
		t.Run(args[0], func(t *testing.T) {
			p := start(t, nil, args...)
			if e := p.event(t); e != Closed {
				t.Errorf("event %d", e)
			}
			if args[0] == "own" {
				if p.Process.Signal(syscall.Signal(0)) != nil {
					t.Error("the program was dead already: this tests nothing")
				}
			}
			p.wait(t)
			if text, total, err := p.socket.Release(100, time.Now().Add(time.Second)); len(text) != 0 || total != 0 || err != nil {
				t.Errorf("report %q, %v", text, err)
			}
			if args[0] == "own" {
				if own, _ := os.ReadFile(args[1]); !bytes.Contains(own, []byte("into a file of my own")) {
					t.Errorf("the program's own report: %q", own)
				}
			}
		})
	}
}

// A descriptor that is not the channel is not used.
func TestWrongDescriptor(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"3:1", crashenv.Value(3, st.Ino), "99:5", "nonsense", ""} {
		cmd := exec.Command(crasher.Build(t, crasher.Plain), "environ")
		cmd.ExtraFiles = []*os.File{file}
		cmd.Env = []string{crashenv.Variable + "=" + value}
		if out, err := cmd.Output(); err != nil || string(out) != value+" true\n" {
			t.Errorf("%q: %q, %v", value, out, err)
		}
		cmd = exec.Command(cmd.Path, "panic")
		cmd.ExtraFiles = []*os.File{file}
		cmd.Env = []string{crashenv.Variable + "=" + value}
		_ = cmd.Run() // it fails: the test checks the file
		if fi, _ := file.Stat(); fi.Size() != 0 {
			t.Fatalf("%q: a report went into a file", value)
		}
	}
}

// pair makes a crash socket like a program does.
func pair(t *testing.T) (*Socket, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil {
		t.Fatal(err)
	}
	filled := 0
	for unix.Sendto(fds[1], []byte{0}, unix.MSG_DONTWAIT, nil) == nil {
		filled++
	}
	if _, err := unix.Read(fds[0], make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s, err := adopt(fds[0], filled-1, 1)
	if err != nil {
		t.Fatal(err)
	}
	return s, os.NewFile(uintptr(fds[1]), "program's end")
}

// Release returns only the first bytes of a long report but reads all of it,
// and stops at the deadline for a program that never ends it.
func TestRelease(t *testing.T) {
	s, end := pair(t)
	defer s.Close()
	if s.Pending() {
		t.Fatal("our own bytes pass for a report")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1000 {
			_, _ = end.Write([]byte("0123456789")) // the other end is closed at the end
		}
	}()
	if e, err := s.Wait(); e != Crash || err != nil {
		t.Fatal(e, err)
	}
	text, total, err := s.Release(25, time.Now().Add(time.Second))
	if !errors.Is(err, ErrTimeout) || total != 10000 || string(text) != "0123456789012345678901234" {
		t.Errorf("%q, %d, %v", text, total, err)
	}
	<-done
	end.Close()
	if text, total, err = s.Release(25, time.Now().Add(time.Second)); len(text) != 0 || total != 0 || err != nil {
		t.Errorf("%q, %d, %v", text, total, err)
	}
}

// An administrator's limits for socket buffers do not matter: the kernel's
// minimum does, and the number of bytes that it accepts is counted, not
// assumed.
func TestBufferLimits(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("changing net.core.wmem_max needs root")
	}
	const file = "/proc/sys/net/core/wmem_max"
	old, err := os.ReadFile(file)
	if err != nil {
		t.Skip("no net.core.wmem_max here: ", err)
	}
	defer func() {
		if err := os.WriteFile(file, old, 0); err != nil {
			t.Error(err)
		}
	}()
	for _, limit := range []string{"4608", "8388608"} {
		if err := os.WriteFile(file, []byte(limit), 0); err != nil {
			t.Skip("net.core.wmem_max cannot be set: ", err)
		}
		p := start(t, []string{"GOTRACEBACK=none"}, "panic")
		if p.event(t) != Crash {
			t.Fatal("no crash was seen")
		}
		p.held(t)
		p.socket.Close()
		p.wait(t)
	}
}
