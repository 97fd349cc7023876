//go:build linux

// Package vm runs commands in virtual machines, for tests that need another
// processor, another kernel, or settings that no test may change on its host: QEMU,
// which emulates the processor, a kernel from the system's packages, and a root file
// system in memory, made of static programs and unpacked packages ([Image]).
//
// No rights are needed, nothing is installed, and no disk image is made.
package vm

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/meminspect/meminspect/internal/vm/protocol"
)

// Reasons why a machine or a command in it failed.
var (
	// ErrMissing reports that QEMU or a package is not available here.
	ErrMissing = errors.New("not available")
	// ErrNoSeries reports that the system's packages have no kernel of a series.
	ErrNoSeries = errors.New("no such series of kernels")
	// ErrNoBoot reports that a machine did not come up in time.
	ErrNoBoot = errors.New("the machine did not boot in time")
	// ErrPanic reports that the kernel of a machine panicked.
	ErrPanic = errors.New("the kernel panicked")
	// ErrEnded reports that a machine ended when it was still needed.
	ErrEnded = errors.New("the machine ended")
	// ErrTimeout reports that a command was killed at its limit.
	ErrTimeout = errors.New("the command reached its limit")
	// ErrCut reports that processes kept the output of a command open after its end.
	ErrCut = errors.New("the output is cut: processes that the command left keep it open")
	// ErrHung reports that a machine did not answer.
	ErrHung = errors.New("the machine does not answer")
)

var (
	// bootLimit bounds a boot. It takes 4 to 27 s on a busy machine with two processors.
	bootLimit = 3 * time.Minute
	// grace is how long a machine may be late with its answer.
	grace = time.Minute
	// closeLimit is how long a machine may take to switch itself off.
	closeLimit = 20 * time.Second
)

// Config describes a machine.
type Config struct {
	Kernel Kernel
	// Image is the file that [Image.Write] wrote.
	Image string
	// Memory is in MiB. 0: 2048.
	Memory int
	// CPUs is the number of processors. 0: 2.
	CPUs int
	// KernelArgs is added to the command line of the kernel.
	KernelArgs []string
	// Modules are kernel modules to load, each with its arguments: "NAME,ARG,ARG".
	Modules []string
	// Disks are empty disks: /dev/vda, /dev/vdb and so on.
	Disks []Disk
	// Reboots keeps the machine and its memory when the guest restarts, after a panic too.
	Reboots bool
}

// A Disk is an empty disk.
type Disk struct {
	MiB int
	// PerSecond is how many requests the disk completes in a second, 0 for as many as it
	// can.
	PerSecond int
}

// A Machine is a running virtual machine. It serves one caller at a time.
type Machine struct {
	// Release is the release of the kernel that runs.
	Release string

	cmd      *exec.Cmd
	requests io.WriteCloser
	events   chan protocol.Event // closed when QEMU has ended
	stderr   text
	dir      string
	console  string
	// booted is the size of the console's file at the last boot's end.
	booted int
	last   int   // number of the last request
	err    error // why the machine serves no more
}

// emulators are the commands of QEMU, by architecture. Tests replace them.
var emulators = map[string]string{"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}

// Emulator returns the path of QEMU for an architecture. If it is not installed, the
// error wraps [ErrMissing] and names it.
func Emulator(arch string) (string, error) {
	name := emulators[arch]
	if name == "" {
		return "", fmt.Errorf("%w: no emulator of %s is known", ErrMissing, arch)
	}
	return lookUp(name)
}

// lookUp returns the path of a command. If it is not installed, the error wraps
// [ErrMissing] and names it.
func lookUp(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: %s is not installed", ErrMissing, name)
	}
	return path, nil
}

// Start boots a machine and returns when it serves. The machine ends with
// [Machine.Close].
func Start(c Config) (m *Machine, err error) {
	qemu, err := Emulator(c.Kernel.Arch)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "meminspect-vm-")
	if err != nil {
		return nil, err
	}
	m = &Machine{dir: dir, console: filepath.Join(dir, "console"), events: make(chan protocol.Event, 100)}
	args, err := c.args(dir, m.console)
	if err == nil {
		m.cmd = exec.Command(qemu, args...)
		// It ends with the test, however that ends.
		m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		m.cmd.Stderr = &m.stderr
		m.requests, err = m.cmd.StdinPipe()
	}
	var out io.ReadCloser
	if err == nil {
		out, err = m.cmd.StdoutPipe()
	}
	if err == nil {
		err = m.cmd.Start()
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("starting %s: %w", qemu, err)
	}
	go m.read(out)
	if err := m.awaitBoot(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// args returns the arguments of QEMU.
func (c *Config) args(dir, console string) ([]string, error) {
	line := []string{"quiet", "loglevel=4", "mitigations=off"}
	args := []string{
		"-accel", "tcg,thread=multi", "-display", "none", "-monitor", "none", "-nodefaults",
		"-m", fmt.Sprint(orDefault(c.Memory, 2048)), "-smp", fmt.Sprint(orDefault(c.CPUs, 2)),
		"-kernel", c.Kernel.Image, "-initrd", c.Image,
		"-chardev", "file,id=console,path=" + console, "-serial", "chardev:console",
		"-chardev", "stdio,id=port,signal=off", "-device", "pci-serial,chardev=port",
	}
	switch c.Kernel.Arch {
	case "amd64":
		args = append(args, "-machine", "q35", "-cpu", "max")
		// On a busy host the emulated timer may miss the kernel's check of it, which panics then.
		line = append(line, "console=ttyS0", "no_timer_check")
	case "arm64":
		args = append(args, "-machine", "virt", "-cpu", "cortex-a72")
		line = append(line, "console=ttyAMA0")
	default:
		return nil, fmt.Errorf("%w: no machine of %s is known", ErrMissing, c.Kernel.Arch)
	}
	if c.Reboots {
		line = append(line, "panic=1")
	} else {
		args = append(args, "-no-reboot")
		line = append(line, "panic=-1")
	}
	modules := c.Modules
	if len(c.Disks) > 0 {
		modules = append([]string{"virtio_pci", "virtio_blk"}, modules...)
	}
	for i, disk := range c.Disks {
		file := filepath.Join(dir, fmt.Sprint("disk", i))
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return nil, err
		}
		if err := os.Truncate(file, int64(disk.MiB)<<20); err != nil {
			return nil, err
		}
		args = append(args, "-drive", fmt.Sprintf("file=%s,format=raw,if=none,id=disk%d,cache=unsafe,throttling.iops-total=%d", file, i, disk.PerSecond), "-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d", i))
	}
	for _, module := range modules {
		line = append(line, "vm.module="+module)
	}
	return append(args, "-append", strings.Join(append(line, c.KernelArgs...), " ")), nil
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// read passes the events on until QEMU closes its output.
func (m *Machine) read(out io.Reader) {
	defer close(m.events)
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var e protocol.Event
		if i := bytes.IndexByte(line, '{'); i >= 0 && json.Unmarshal(line[i:], &e) == nil {
			m.events <- e // what is before it are bytes of a port that was not set up yet
		}
	}
}

// awaitBoot waits until the machine serves.
func (m *Machine) awaitBoot() error {
	deadline := time.After(bootLimit)
	for {
		select {
		case e, ok := <-m.events:
			if !ok {
				return m.ended("during the boot")
			}
			if e.Kind == protocol.Up {
				m.up(e)
				return nil
			}
		case <-deadline:
			return fmt.Errorf("%w: %v; its console:\n%s", ErrNoBoot, bootLimit, m.Console())
		}
	}
}

// up takes an event Up.
func (m *Machine) up(e protocol.Event) {
	m.Release, m.booted = e.Text, 0
	if info, err := os.Stat(m.console); err == nil {
		m.booted = int(info.Size())
	}
}

var panicked = regexp.MustCompile(`Kernel panic - not syncing: ([^\r\n]*)`)

// ended returns why the machine, or its guest, has ended. when names what it was doing. A
// panic before the last boot is not the reason.
func (m *Machine) ended(when string) error {
	text := m.Console()
	if found := panicked.FindStringSubmatch(text[min(m.booted, len(text)):]); found != nil {
		return fmt.Errorf("%w %s: %s; its console:\n%s", ErrPanic, when, found[1], text)
	}
	return fmt.Errorf("%w %s; its console:\n%s%s", ErrEnded, when, text, m.stderr.String())
}

// A text is what a process prints while another one reads it.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(b)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// Console returns what the kernel has printed.
func (m *Machine) Console() string {
	text, err := os.ReadFile(m.console)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// A Command is a command to run in a machine.
type Command struct {
	Args []string
	Env  []string // added to the guest's
	Dir  string   // "" = /tmp
	// Limit bounds the run; the process group is killed then. 0: two minutes.
	Limit time.Duration
	// Leaves allows processes that keep the output open after the command's end. Their
	// later output is lost. Otherwise such a process is an error.
	Leaves bool
}

// A Result is how a command ended.
type Result struct {
	Output string // of both streams
	Status syscall.WaitStatus
	Took   time.Duration
}

// Run runs a command in the machine and returns how it ended: a failing exit status is
// not an error. The result has the output so far if there is an error.
func (m *Machine) Run(c Command) (Result, error) {
	if c.Limit == 0 {
		c.Limit = 2 * time.Minute
	}
	var r Result
	var output strings.Builder
	end, err := m.ask(protocol.Request{Args: c.Args, Env: c.Env, Dir: c.Dir, Limit: c.Limit}, c.Limit+grace, func(e protocol.Event) {
		if e.Kind == protocol.Output {
			output.Write(e.Data)
		}
	})
	r.Output, r.Status, r.Took = output.String(), syscall.WaitStatus(end.Status), end.Took
	switch {
	case err != nil:
		return r, fmt.Errorf("%s: %w", strings.Join(c.Args, " "), err)
	case end.TimedOut:
		return r, fmt.Errorf("%s: %w of %v; it printed:\n%s", strings.Join(c.Args, " "), ErrTimeout, c.Limit, r.Output)
	case end.Error != "":
		return r, fmt.Errorf("%s: %s", strings.Join(c.Args, " "), end.Error)
	case end.Cut && !c.Leaves:
		return r, fmt.Errorf("%s: %w; it printed:\n%s", strings.Join(c.Args, " "), ErrCut, r.Output)
	}
	return r, nil
}

// ReadFile returns the content of a file of the machine.
func (m *Machine) ReadFile(name string) ([]byte, error) {
	var packed bytes.Buffer
	end, err := m.ask(protocol.Request{File: name}, 10*time.Minute, func(e protocol.Event) {
		if e.Kind == protocol.File {
			packed.Write(e.Data)
		}
	})
	if err == nil && end.Error != "" {
		err = errors.New(end.Error)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	z, err := gzip.NewReader(&packed)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return io.ReadAll(z)
}

// Err returns the first error after which the machine serves no more: every later call
// returns it at once. After a restart of its guest the machine serves again.
func (m *Machine) Err() error { return m.err }

// ask sends a request and calls each with the events of the answer before its End.
func (m *Machine) ask(r protocol.Request, limit time.Duration, each func(protocol.Event)) (protocol.Event, error) {
	if m.err != nil {
		return protocol.Event{}, m.err
	}
	m.last++
	r.ID = m.last
	line, err := json.Marshal(r)
	if err != nil {
		return protocol.Event{}, err
	}
	deadline := time.After(limit)
	// A guest that hangs reads nothing: the write blocks once the pipe is full, until
	// Close ends QEMU.
	written := make(chan error, 1)
	go func() {
		_, err := m.requests.Write(append(line, '\n'))
		written <- err
	}()
	for {
		select {
		case err := <-written:
			if err != nil {
				m.err = m.ended("before a request")
				return protocol.Event{}, m.err
			}
			written = nil
		case e, ok := <-m.events:
			switch {
			case !ok:
				m.err = m.ended("during a request")
				return protocol.Event{}, m.err
			case e.Kind == protocol.Up: // the guest has restarted
				err := m.ended("during a request")
				m.up(e)
				return protocol.Event{}, err
			case e.ID != r.ID && e.ID != 0: // of a request that failed by the guest's restart
			case e.Kind == protocol.End:
				return e, nil
			default:
				each(e)
			}
		case <-deadline:
			m.err = fmt.Errorf("%w within %v; its console:\n%s", ErrHung, limit, m.Console())
			return protocol.Event{}, m.err
		}
	}
}

// Close switches the machine off and returns when QEMU has ended. It kills QEMU if the
// machine does not answer.
func (m *Machine) Close() {
	defer os.RemoveAll(m.dir)
	kill := time.AfterFunc(closeLimit, func() { _ = m.cmd.Process.Kill() })
	defer kill.Stop()
	if line, err := json.Marshal(protocol.Request{Off: true}); err == nil {
		_, _ = m.requests.Write(append(line, '\n'))
	}
	for range m.events { // until QEMU has closed its output
	}
	_ = m.cmd.Wait()
}
