package process

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/memory"
)

func supported() error { return nil }

// Clock returns the time of the clock that Go's runtime uses for durations, in
// nanoseconds. A process in another time namespace has another clock.
func Clock() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return now.Nano()
}

func isNoProcess(err error) bool { return errors.Is(err, unix.ESRCH) || errors.Is(err, ErrGone) }

// isForbidden reports whether process_vm_readv is refused for every address: by
// a seccomp filter, by a kernel without it (ENOSYS), or for lack of permission.
func isForbidden(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EACCES)
}

// isUnmapped reports whether err is how /proc/PID/mem reports an unmapped
// address.
func isUnmapped(err error) bool { return errors.Is(err, unix.EIO) || errors.Is(err, unix.EFAULT) }

// maxPieces is the kernel's limit of one call (UIO_MAXIOV).
const maxPieces = 1024

// readVM returns how many bytes from addr it could read; err is nil only if all
// were read. The kernel stops at the first unreadable page.
func readVM(pid int, p []byte, addr memory.Address) (int, error) {
	total := 0
	for total < len(p) {
		local := unix.Iovec{Base: &p[total]}
		local.SetLen(len(p) - total)
		remote := unix.RemoteIovec{Base: uintptr(addr) + uintptr(total), Len: len(p) - total}
		n, err := unix.ProcessVMReadv(pid, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
		switch {
		case errors.Is(err, unix.EFAULT):
			return total, memory.ErrNotMapped
		case err != nil:
			return total, err
		case n == 0:
			return total, memory.ErrNotMapped
		}
		total += n // after a short count the next call reports why, or continues
	}
	return total, nil
}

// readVMMany reads pieces in order by one call. It returns how many bytes it
// could read, counted over the concatenated pieces, and how many pieces the
// call included.
func readVMMany(pid int, pieces []memory.Piece) (n, tried int, err error) {
	pieces = pieces[:min(len(pieces), maxPieces)]
	locals := make([]unix.Iovec, 0, len(pieces))
	remotes := make([]unix.RemoteIovec, 0, len(pieces))
	for i := range pieces {
		data := pieces[i].Data
		if len(data) == 0 {
			continue
		}
		if pieces[i].Addr.Add(uint64(len(data))) >= 1<<63 {
			// The kernel would refuse the whole call; read the pieces before it.
			pieces = pieces[:i+1]
			break
		}
		local := unix.Iovec{Base: &data[0]}
		local.SetLen(len(data))
		locals = append(locals, local)
		remotes = append(remotes, unix.RemoteIovec{Base: uintptr(pieces[i].Addr), Len: len(data)})
	}
	if len(locals) == 0 {
		return 0, len(pieces), nil
	}
	n, err = unix.ProcessVMReadv(pid, locals, remotes, 0)
	if errors.Is(err, unix.EFAULT) {
		return 0, len(pieces), nil
	}
	return max(n, 0), len(pieces), err
}

// Allowed tests with this process itself whether process_vm_readv works on this
// system.
func Allowed() error {
	if err := ReadMemory.Killed(); err != nil {
		return err
	}
	var to [1]byte
	n, err := unix.ProcessVMReadv(os.Getpid(), []unix.Iovec{{Base: &to[0], Len: 1}},
		[]unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&probe[0])), Len: 1}}, 0)
	if err != nil || n != 1 {
		return fmt.Errorf("process_vm_readv: %w", err)
	}
	return nil
}

// probe is the memory that Allowed reads; a variable on a stack might move.
var probe [1]byte
