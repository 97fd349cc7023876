//go:build linux

// Command init is the first process of a virtual machine in which tests run. It
// mounts the usual file systems, loads the kernel modules that the command line of
// the kernel names, and serves the requests of package protocol, which come over a
// serial port of the PCI bus.
//
// It starts itself a second time for all of that, so that the first process only
// reaps orphans.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/vm/protocol"
)

func main() {
	if os.Getpid() != 1 {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "init:", err)
		}
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
		return
	}
	fmt.Fprintln(os.Stderr, "init:", first())
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// first sets the system up, starts the server and reaps until the machine is off. It
// returns only if that fails.
func first() error {
	if err := root(); err != nil {
		return err
	}
	if err := mounts(); err != nil {
		return err
	}
	if err := modules(); err != nil {
		return err
	}
	loopback()
	server := exec.Command("/proc/self/exe")
	server.Stdin, server.Stdout, server.Stderr = os.Stdin, os.Stdout, os.Stderr
	server.Env = []string{"PATH=/programs:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C"}
	if err := server.Start(); err != nil {
		return err
	}
	return reap(server.Process.Pid)
}

// reap waits for children until the process pid has ended, and reports its end.
func reap(pid int) error {
	for {
		var status unix.WaitStatus
		ended, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("waiting for the server: %w", err)
		case ended == pid && status.Signaled():
			return fmt.Errorf("the server ended: %v", status.Signal())
		case ended == pid:
			return fmt.Errorf("the server ended: exit status %d", status.ExitStatus())
		}
	}
}

// root puts a mount over the first root, of which no container's root can take the
// place.
func root() error {
	if err := os.MkdirAll("/newroot", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("/", "/newroot", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("binding the root: %w", err)
	}
	if err := os.Chdir("/newroot"); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("moving the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}

func mounts() error {
	for _, m := range []struct {
		dir, kind, data string
		must            bool
	}{
		{"/proc", "proc", "", true},
		{"/sys", "sysfs", "", true},
		{"/dev", "devtmpfs", "", true},
		{"/dev/pts", "devpts", "ptmxmode=0666", true},
		{"/dev/shm", "tmpfs", "mode=1777", true},
		{"/tmp", "tmpfs", "mode=1777", true},
		{"/run", "tmpfs", "mode=0755", true},
		{"/sys/fs/cgroup", "cgroup2", "", true},
		{"/sys/fs/pstore", "pstore", "", false},
		{"/sys/kernel/security", "securityfs", "", false},
	} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, m.data); err != nil && m.must {
			return fmt.Errorf("mounting %s: %w", m.dir, err)
		}
	}
	for name, target := range map[string]string{"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, name); err != nil && !os.IsExist(err) {
			return err
		}
	}
	// Groups below the root have all the controllers that this kernel has.
	list, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(list)) {
		if err := os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+"+name), 0); err != nil {
			fmt.Fprintf(os.Stderr, "init: controller %s: %v\n", name, err)
		}
	}
	return nil
}

// modules loads what the kernel's command line names: vm.module=NAME,ARG,ARG.
func modules() error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	for _, word := range strings.Fields(string(line)) {
		value, ok := strings.CutPrefix(word, "vm.module=")
		if !ok {
			continue
		}
		name, args, _ := strings.Cut(value, ",")
		if err := load(name, strings.ReplaceAll(args, ",", " ")); err != nil {
			return err
		}
	}
	return nil
}

// load loads a module after those that it depends on. One without a file is part of the
// kernel.
func load(name, args string) error {
	f, err := os.Open("/modules/" + name + ".ko")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	file, err := elf.NewFile(f)
	if err != nil {
		return fmt.Errorf("the module %s: %w", name, err)
	}
	info := file.Section(".modinfo")
	if info == nil {
		return fmt.Errorf("the module %s has no information", name)
	}
	text, err := info.Data()
	if err != nil {
		return fmt.Errorf("the module %s: %w", name, err)
	}
	for word := range strings.SplitSeq(string(text), "\x00") {
		list, ok := strings.CutPrefix(word, "depends=")
		if !ok || list == "" {
			continue
		}
		for other := range strings.SplitSeq(list, ",") {
			if err := load(strings.ReplaceAll(other, "-", "_"), ""); err != nil {
				return err
			}
		}
	}
	if err := unix.FinitModule(int(f.Fd()), args, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("loading the module %s: %w", name, err)
	}
	return nil
}

// loopback switches the interface of that name on. Without it tests with servers
// fail, and report that themselves.
func loopback() {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(s)
	if r, err := unix.NewIfreq("lo"); err == nil {
		r.SetUint16(unix.IFF_UP)
		_ = unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
	}
}

// port opens the serial port of the PCI bus and sets it to pass all bytes.
func port() (*os.File, error) {
	list, err := filepath.Glob("/sys/class/tty/ttyS*/device")
	if err != nil {
		return nil, err
	}
	for _, device := range list {
		target, err := filepath.EvalSymlinks(device)
		if err != nil || !strings.Contains(target, "/pci") {
			continue
		}
		f, err := os.OpenFile("/dev/"+filepath.Base(filepath.Dir(device)), os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			return nil, err
		}
		t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		if err != nil {
			return nil, err
		}
		t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
		t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		return f, unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
	}
	return nil, fmt.Errorf("no serial port of the PCI bus among %v", list)
}

// A sender writes events.
type sender struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sender) send(e protocol.Event) {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // no type of the event fails
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.w.Write(append(line, '\n')) // the host finds out
}

// An answer writes the events of the answer to one request.
type answer struct {
	*sender
	id int
}

func (a answer) send(e protocol.Event) {
	e.ID = a.id
	a.sender.send(e)
}

// Write sends output of a command.
func (a answer) Write(data []byte) (int, error) {
	a.send(protocol.Event{Kind: protocol.Output, Data: data})
	return len(data), nil
}

func serve() error {
	f, err := port()
	if err != nil {
		return err
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	s := &sender{w: f}
	s.send(protocol.Event{Kind: protocol.Up, Text: unix.ByteSliceToString(name.Release[:])})
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("reading requests: %w", err)
		}
		var r protocol.Request
		if err := json.Unmarshal(line, &r); err != nil {
			s.send(protocol.Event{Kind: protocol.End, Error: fmt.Sprintf("a request of %d bytes: %v", len(line), err)})
			continue
		}
		if r.Off {
			unix.Sync()
			return nil
		}
		a := answer{s, r.ID}
		a.send(a.do(r))
	}
}

// outputDelay is how long the output of a command is read after its end, while other
// processes keep it open.
var outputDelay = 5 * time.Second

// do serves a request and returns its End.
func (a answer) do(r protocol.Request) protocol.Event {
	end := protocol.Event{Kind: protocol.End}
	if r.File != "" {
		if err := a.file(r.File); err != nil {
			end.Error = err.Error()
		}
		return end
	}
	if len(r.Args) == 0 {
		end.Error = "the request has no command"
		return end
	}
	cmd := exec.Command(r.Args[0], r.Args[1:]...)
	cmd.Dir = r.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/tmp"
	}
	cmd.Env = append(os.Environ(), r.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, w, err := os.Pipe()
	if err != nil {
		end.Error = err.Error()
		return end
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = w, w
	begin := time.Now()
	err = cmd.Start()
	w.Close()
	if err != nil {
		end.Error = err.Error()
		return end
	}
	limit := time.AfterFunc(r.Limit, func() {
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	})
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(a, output)
		sent <- err
	}()
	err = cmd.Wait()
	end.TimedOut = !limit.Stop()
	end.Took = time.Since(begin)
	_ = output.SetReadDeadline(time.Now().Add(outputDelay)) // a pipe has deadlines
	end.Cut = errors.Is(<-sent, os.ErrDeadlineExceeded)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		end.Error = err.Error()
	}
	if state := cmd.ProcessState; state != nil {
		end.Status = uint32(state.Sys().(syscall.WaitStatus))
	}
	return end
}

// file sends a file. Its size is checked first: a serial port is slow.
func (a answer) file(name string) error {
	const largest = 64 << 20
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if info.Size() > largest {
		return fmt.Errorf("%s has %d bytes, more than %d", name, info.Size(), largest)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	if _, err := z.Write(data); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	for piece := small.Bytes(); ; {
		n := min(len(piece), 32<<10)
		a.send(protocol.Event{Kind: protocol.File, Data: piece[:n]})
		if piece = piece[n:]; len(piece) == 0 {
			return nil
		}
	}
}
