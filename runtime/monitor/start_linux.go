//go:build linux && !meminspect_off

package monitor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	_ "github.com/meminspect/meminspect/runtime" // which sets what internal/crash holds
	"github.com/meminspect/meminspect/runtime/internal/crash"
)

func start(o Options) (string, error) {
	if crash.Adopted() {
		return "supervised already", nil
	}
	if o.Path == "" {
		o.Path = "meminspect"
	}
	path, err := exec.LookPath(o.Path)
	if err != nil {
		return "", fmt.Errorf("monitor: %w", err)
	}
	if o.Wait == 0 {
		o.Wait = 5 * time.Second
	}
	holder, program, filled, inode, err := crashSocket()
	if err != nil {
		return "", fmt.Errorf("monitor: making the crash socket: %w", err)
	}
	defer holder.Close()
	promise, err := launch(o, path, holder, filled, inode)
	if err != nil {
		program.Close()
		return "", fmt.Errorf("monitor: %w", err)
	}
	// From here on a fatal error is held. The descriptor is closed by Adopt.
	fd, err := syscall.Dup(int(program.Fd()))
	program.Close()
	if err != nil || !crash.Adopt(fd, inode) {
		return "", errors.Join(errors.New("monitor: the runtime did not take the crash socket"), err)
	}
	return promise, nil
}

// crashSocket makes a socket pair of which the program's end is full but for one
// write: the first write of a fatal report wakes the holder, a later one blocks.
// See collector/crashsocket for why.
func crashSocket() (holder, program *os.File, filled int, inode uint64, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, 0, 0, err
	}
	// Blocking, all of it: the runtime writes to one end, a process that is not
	// ours waits at the other.
	holder, program = os.NewFile(uintptr(fds[0]), "crash socket"), os.NewFile(uintptr(fds[1]), "crash socket")
	fail := func(err error) (*os.File, *os.File, int, uint64, error) {
		holder.Close()
		program.Close()
		return nil, nil, 0, 0, err
	}
	if err := syscall.SetsockoptInt(fds[1], syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1); err != nil {
		return fail(err)
	}
	for {
		err := syscall.Sendto(fds[1], []byte{0}, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, nil)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			break
		}
		if err != nil {
			return fail(err)
		}
		if filled++; filled > 1<<16 {
			return fail(errors.New("it never fills"))
		}
	}
	var b [1]byte
	if n, err := syscall.Read(fds[0], b[:]); n != 1 || filled < 2 {
		return fail(fmt.Errorf("it holds %d writes: %w", filled, err))
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fds[1], &st); err != nil {
		return fail(err)
	}
	return holder, program, filled - 1, st.Ino, nil
}

// launch starts the collector. What we start only starts another and ends, so
// that we have no child to wait for: a goroutine that waits would keep Go from
// finding deadlocks. The other says its number, waits for our leave to look at
// us (Yama lets a child read its parent only then), and says when it is ready.
func launch(o Options, path string, holder *os.File, filled int, inode uint64) (promise string, err error) {
	in, leave, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer in.Close()
	defer leave.Close()
	words, out, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer words.Close()
	args := []string{"watch", "--socket-fd=3", "--filled=" + strconv.Itoa(filled), "--inode=" + strconv.FormatUint(inode, 10)}
	if o.Dir != "" {
		args = append(args, "--dir="+o.Dir)
	}
	args = append(append(args, o.Args...), strconv.Itoa(os.Getpid()))
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	cmd.ExtraFiles = []*os.File{holder}
	cmd.Env = scrubbed(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Run()
	out.Close()
	if err != nil {
		return "", fmt.Errorf("starting the collector: %w", err)
	}
	end := time.Now().Add(o.Wait)
	line, err := readLine(words, end)
	pid, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "pid ")
	n, convErr := strconv.Atoi(pid)
	if err != nil || !ok || convErr != nil {
		return "", fmt.Errorf("the collector did not start: it said %q (%w)", line, errors.Join(err, convErr))
	}
	allow(n)
	if _, err := leave.Write([]byte("go\n")); err != nil {
		return "", fmt.Errorf("the collector went away: %w", err)
	}
	line, err = readLine(words, end)
	promise, ok = strings.CutPrefix(strings.TrimSuffix(line, "\n"), "ready ")
	if err != nil || !ok {
		return "", fmt.Errorf("the collector is not ready: it said %q (%w)", line, err)
	}
	return promise, nil
}

// readLine reads a short line from a pipe. It waits in the kernel: a deadline of
// the runtime's is a timer, and as long as one is set, expired or not, Go finds
// no deadlock.
func readLine(pipe *os.File, end time.Time) (string, error) {
	fd := pipe.Fd() // which makes it blocking
	var line []byte
	for len(line) < 4096 {
		ready := struct {
			fd             int32
			events, revent int16
		}{fd: int32(fd), events: 1} // POLLIN
		left := syscall.NsecToTimespec(max(0, time.Until(end).Nanoseconds()))
		n, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&ready)), 1, uintptr(unsafe.Pointer(&left)), 0, 0, 0)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			return string(line), errno
		case n == 0:
			return string(line), os.ErrDeadlineExceeded
		}
		var b [1]byte
		if n, err := syscall.Read(int(fd), b[:]); n != 1 {
			return string(line), errors.Join(io.ErrUnexpectedEOF, err)
		}
		if line = append(line, b[0]); b[0] == '\n' {
			break
		}
	}
	return string(line), nil
}

// allow lets a process read this one under Yama. Where there is no Yama the
// kernel refuses, and nothing needs to be allowed.
func allow(pid int) {
	const prSetPtracer = 0x59616d61
	syscall.RawSyscall(syscall.SYS_PRCTL, prSetPtracer, uintptr(pid), 0)
}

// scrubbed leaves out settings that are meant for this program: a memory limit
// would be the collector's, and a debug setting that it does not know would end
// it.
func scrubbed(env []string) []string {
	var out []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "GOGC", "GOMEMLIMIT", "GODEBUG", "GOTRACEBACK", "GOMAXPROCS":
		default:
			out = append(out, kv)
		}
	}
	return out
}
