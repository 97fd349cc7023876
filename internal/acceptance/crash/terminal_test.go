//go:build linux

package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/crasher"
)

// openTerminal returns both ends of a new pseudo terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// A program on a terminal has it: it may read, ^C reaches it and not the
// supervisor, ^Z stops the job and a shell's fg continues it.
func TestTerminal(t *testing.T) {
	master, slave := openTerminal(t)
	dir := t.TempDir()
	report := filepath.Join(dir, "report")
	r := &started{report: report}
	r.cmd = exec.Command(tool(t), "run", "--json", "--report", report, "--dir", dir, "--", crasher.Build(t, crasher.Plain), "signals")
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = slave, slave, slave
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer r.cmd.Process.Kill()
	screen := make(chan string, 100)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil {
				close(screen)
				return
			}
			screen <- string(buf[:n])
		}
	}()
	seen := ""
	expect := func(text string) {
		t.Helper()
		deadline := time.After(10 * time.Second)
		for !strings.Contains(seen, text) {
			select {
			case s := <-screen:
				seen += s
			case <-deadline:
				t.Fatalf("the terminal does not show %q: %q", text, seen)
			}
		}
	}
	pid := r.event(t, "started").PID
	expect("ready")
	if group, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPGRP); err != nil || group != pid {
		t.Errorf("the terminal belongs to group %d, %v; the program is %d", group, err, pid)
	}
	must(master.WriteString("\x03")) // ^C
	expect("got interrupt")
	must(master.WriteString("\x1c")) // ^\
	expect("got quit")
	must(master.WriteString("\x1a")) // ^Z: this program only prints it
	expect("got stopped")

	// Stopped for good, the supervisor stops too, so that a shell sees it.
	syscall.Kill(pid, syscall.SIGSTOP)
	waitState(t, r.cmd.Process.Pid, "T")
	r.cmd.Process.Signal(syscall.SIGCONT)
	waitState(t, pid, "S")
	if group, _ := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPGRP); group != pid {
		t.Errorf("after fg the terminal belongs to group %d, the program is %d", group, pid)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.cmd.Wait()
	if code := r.cmd.ProcessState.ExitCode(); code != 5 {
		t.Errorf("ended with %d: %q", code, seen)
	}
}

func waitState(t *testing.T, pid int, want string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if state(pid) == want {
			return
		}
	}
	t.Fatalf("process %d is in state %s, not %s", pid, state(pid), want)
}
