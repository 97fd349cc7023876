//go:build linux

package crashsocket

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/crasher"
	"github.com/meminspect/meminspect/runtime/format/crashenv"
)

// crash waits until the registered program is stopped in its report.
func (r *Registered) crash(t *testing.T) {
	t.Helper()
	r.Socket.file.SetReadDeadline(time.Now().Add(20 * time.Second))
	if e, err := r.Socket.Wait(); e != Crash || err != nil {
		t.Fatalf("process %d: event %d, %v", r.PID, e, err)
	}
	r.Socket.file.SetReadDeadline(time.Time{})
}

// A program and its child are independent: each registers, is stopped, and is
// released.
func TestChildren(t *testing.T) {
	p := startUnder(t, newChannel(t), nil, "child")
	parent := accept(t, p.channel)
	child := accept(t, p.channel)
	if parent.PID != p.Process.Pid || child.PID == parent.PID {
		t.Fatalf("%d and %d registered, the program is %d", parent.PID, child.PID, p.Process.Pid)
	}
	child.crash(t)
	if parent.Socket.Pending() || !parent.Alive() || !child.Alive() || child.Socket.Writer() != child.PID {
		t.Errorf("the child is %d, its report is of %d", child.PID, child.Socket.Writer())
	}
	text, _, err := child.Socket.Release(1<<20, time.Now().Add(10*time.Second))
	if err != nil || !strings.Contains(string(text), "it went wrong") {
		t.Errorf("%v, the child's report is %q", err, text)
	}
	parent.crash(t)
	if parent.Socket.Writer() != parent.PID {
		t.Errorf("the parent is %d, its report is of %d", parent.PID, parent.Socket.Writer())
	}
	text, _, err = parent.Socket.Release(1<<20, time.Now().Add(10*time.Second))
	if err != nil || strings.Contains(string(text), "it went wrong") || !strings.Contains(string(text), "and now the parent") {
		t.Errorf("%v, the parent's report is %q", err, text)
	}
	p.wait(t)
	if !strings.Contains(p.stdout.String(), "child: exit status 2") {
		t.Errorf("the program printed %q", p.stdout.String())
	}
}

// Many programs that crash at once are all stopped at once, each under its own
// process ID.
func TestManyAtOnce(t *testing.T) {
	c := newChannel(t)
	const n = 20
	programs, seen := map[int]*program{}, map[int]*Registered{}
	for range n {
		p := startUnder(t, c, []string{"GOMAXPROCS=1"}, "panic")
		programs[p.Process.Pid] = p
	}
	for range n {
		r := accept(t, c)
		seen[r.PID] = r
	}
	for pid, r := range seen {
		r.crash(t)
		if programs[pid] == nil || r.Socket.Writer() != pid {
			t.Errorf("process %d is none of ours, or its report is of process %d", pid, r.Socket.Writer())
		}
	}
	if len(seen) != n {
		t.Errorf("%d processes registered", len(seen))
	}
	for pid, r := range seen {
		if !r.Alive() {
			t.Errorf("process %d was not held", pid)
		}
		r.Close()
	}
	for _, p := range programs {
		p.wait(t)
	}
}

// A program that replaces itself registers again under its process ID, and the
// first socket is closed.
func TestRegisterAfterExec(t *testing.T) {
	p := startUnder(t, newChannel(t), nil, "again")
	first, second := accept(t, p.channel), accept(t, p.channel)
	if first.PID != p.Process.Pid || second.PID != first.PID {
		t.Errorf("%d and %d registered, the program is %d", first.PID, second.PID, p.Process.Pid)
	}
	if e, err := first.Socket.Wait(); e != Closed || err != nil {
		t.Errorf("the first socket: event %d, %v", e, err)
	}
	p.wait(t)
}

// Without SO_PASSPIDFD, which Linux has since 6.5, the process is opened by its
// ID. A process that has ended by then is not confused with another one.
func TestWithoutPidfd(t *testing.T) {
	old := func() *testChannel {
		c := newChannel(t)
		c.conn.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSPIDFD, 0) }) // older kernels do not have it
		return c
	}
	p := startUnder(t, old(), nil, "panic")
	r := accept(t, p.channel)
	r.crash(t)
	if r.PID != p.Process.Pid || !r.Alive() {
		t.Errorf("process %d registered, alive %v; the program is %d", r.PID, r.Alive(), p.Process.Pid)
	}
	r.Close()
	p.wait(t)

	gone := startUnder(t, old(), nil, "exit0")
	gone.wait(t)
	if r := gone.channel.Pending(); r != nil {
		t.Errorf("process %d, which has ended, is registered", r.PID)
	}
}

// A program runs as it would alone if its supervisor dies before it has read
// the registration, does not read its channel, or gets other messages.
func TestSupervisorAbsent(t *testing.T) {
	check := func(t *testing.T, p *program) {
		t.Helper()
		p.wait(t)
		if p.ProcessState.ExitCode() != 2 || !strings.Contains(p.stderr.String(), "\ngoroutine ") {
			t.Errorf("ended with %v: %.300s", p.ProcessState, p.stderr.String())
		}
	}
	t.Run("closed", func(t *testing.T) {
		c := newChannel(t)
		c.Close()
		check(t, startUnder(t, c, nil, "panic"))
	})
	t.Run("closed while it registers", func(t *testing.T) {
		c := newChannel(t)
		p := startUnder(t, c, nil, "wait")
		await.True(t, "the program is ready", func() bool { return strings.Contains(p.stdout.String(), "ready") })
		c.Close() // with the registration in its queue
		p.Process.Signal(syscall.SIGQUIT)
		check(t, p)
	})
	t.Run("full", func(t *testing.T) {
		c := newChannel(t)
		for unix.Sendto(int(c.programs.Fd()), []byte("no registration"), unix.MSG_DONTWAIT, nil) == nil {
		}
		check(t, startUnder(t, c, nil, "panic"))
		// The registration did not arrive, and nothing else counts as one.
		if r := c.Pending(); r != nil {
			t.Errorf("process %d is registered", r.PID)
		}
		// The channel works again.
		p := startUnder(t, c, nil, "panic")
		r := accept(t, c)
		r.crash(t)
		r.Close()
		check(t, p)
	})
	t.Run("descriptors closed", func(t *testing.T) {
		// Some programs close what they inherited before they start others.
		c := newChannel(t)
		cmd := exec.Command(crasher.Build(t, crasher.Plain), "panic")
		cmd.Env = append(os.Environ(), c.environ(t))
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "\ngoroutine ") {
			t.Errorf("%v: %.300s", err, out)
		}
	})
}

// A registered program that requests a snapshot asks for a look at once.
func TestLook(t *testing.T) {
	c := newChannel(t)
	looks := make(chan int, 1)
	c.Look = func(pid int) { looks <- pid }
	p := startUnder(t, c, nil, "snapshot")
	r := accept(t, c)
	go func() { _, _ = c.Accept() }() // ends with the channel
	select {
	case pid := <-looks:
		if pid != p.Process.Pid {
			t.Errorf("process %d asks, the program is %d", pid, p.Process.Pid)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the program asks for no look")
	}
	if err := r.Socket.Answer(true); err != nil {
		t.Error(err)
	}
	p.wait(t)
	if p.stdout.String() != "taken true\n" {
		t.Errorf("the program printed %q", p.stdout.String())
	}
}

// Messages that are not registrations are ignored, and their descriptors are
// closed.
func TestOtherMessages(t *testing.T) {
	c := newChannel(t)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range [][]byte{[]byte("hello"), {}, crashenv.EncodeLook(), make([]byte, crashenv.RegistrationSize), crashenv.Registration{Filled: 1, Inode: 1}.Encode()} {
		rights := unix.UnixRights(int(writer.Fd()))
		if len(m) == crashenv.RegistrationSize && m[0] == 1 {
			rights = append(rights, rights...) // two descriptors
		}
		if err := unix.Sendmsg(int(c.programs.Fd()), m, rights, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	writer.Close()
	if r := c.Pending(); r != nil {
		t.Errorf("process %d is registered", r.PID)
	}
	reader.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := reader.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a descriptor was kept: %v", err)
	}
	c.programs.Close()
	if _, err := c.Accept(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end of all programs: %v", err)
	}
}
