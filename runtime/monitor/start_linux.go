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

	_ "github.com/meminspect/meminspect/runtime" // sets the variables of internal/crash
	"github.com/meminspect/meminspect/runtime/internal/crash"
)

func start(o Options) (string, error) {
	if crash.Registered() {
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
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("monitor: making the channel: %w", err)
	}
	channel := os.NewFile(uintptr(fds[1]), "channel")
	defer channel.Close()
	promise, err := launch(o, path, channel)
	if err != nil {
		syscall.Close(fds[0])
		return "", fmt.Errorf("monitor: %w", err)
	}
	// From here on the supervisor can stop the program on a fatal error.
	if !crash.Register(fds[0]) {
		syscall.Close(fds[0])
		return "", errors.New("monitor: the runtime did not take the crash socket")
	}
	// Our end stays open for requests. Child processes do not inherit it: they have
	// another supervisor, or none.
	return promise, nil
}

// launch starts the supervisor. The child only starts another process and
// exits, so there is no child to wait for: a waiting goroutine would keep Go
// from detecting deadlocks. The other process writes its process ID, waits
// until this one allows it to read its memory (Yama forbids that by default),
// and writes again when it is ready.
func launch(o Options, path string, channel *os.File) (promise string, err error) {
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
	args := []string{"watch", "--channel-fd=3"}
	if o.Dir != "" {
		args = append(args, "--dir="+o.Dir)
	}
	args = append(args, o.Capture.flags()...)
	args = append(append(args, o.Args...), strconv.Itoa(os.Getpid()))
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	cmd.ExtraFiles = []*os.File{channel}
	cmd.Env = sanitizeEnv(os.Environ())
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
		return "", fmt.Errorf("the collector did not start: it printed %q (%w)", line, errors.Join(err, convErr))
	}
	allow(n)
	if _, err := leave.Write([]byte("go\n")); err != nil {
		return "", fmt.Errorf("the collector went away: %w", err)
	}
	line, err = readLine(words, end)
	if last, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "last "); ok && err == nil {
		crash.LastEnd.Store(last)
		line, err = readLine(words, end)
	}
	promise, ok = strings.CutPrefix(strings.TrimSuffix(line, "\n"), "ready ")
	if err != nil || !ok {
		return "", fmt.Errorf("the collector is not ready: it printed %q (%w)", line, err)
	}
	return promise, nil
}

// readLine reads a short line from a pipe. It waits in the kernel: a runtime
// deadline is a timer, and while one is set, expired or not, Go detects no
// deadlock.
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

// allow lets a process read this one under Yama. Without Yama the kernel
// returns an error, and no permission is needed.
func allow(pid int) {
	const prSetPtracer = 0x59616d61
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetPtracer, uintptr(pid), 0)
}

// sanitizeEnv removes settings that are meant for this program: a memory limit
// would limit the supervisor, and an unknown GODEBUG setting would abort it.
func sanitizeEnv(env []string) []string {
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
