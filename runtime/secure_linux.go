//go:build !meminspect_off

package meminspect

import (
	"encoding/binary"
	"syscall"
	"unsafe"
)

// secure reports whether this program has more privileges than the user who
// started it: a set-user-ID program, or one with file capabilities. That user
// controls its environment, so it is not trusted.
func secure() bool {
	if syscall.Getuid() != syscall.Geteuid() || syscall.Getgid() != syscall.Getegid() {
		return true
	}
	var auxv [1 << 10]byte // the kernel's has fewer than 60 words
	n, err := readFile("/proc/self/auxv", auxv[:])
	if err != nil {
		// The kernel denies this to a program with file capabilities, and to one
		// whose file its user cannot read. /proc may be missing.
		return syscall.Getuid() != 0 && capable()
	}
	return secureVector(auxv[:n])
}

// readFile reads the beginning of a file into b. With os.ReadFile, each program would
// have the code that formats times, because a file's information has one.
func readFile(path string, b []byte) (n int, err error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer syscall.Close(fd)
	for n < len(b) {
		m, err := syscall.Read(fd, b[n:])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return n, err
		case m == 0:
			return n, nil
		default:
			n += m
		}
	}
	return n, nil
}

// capable reports whether this program has any capability.
func capable() bool {
	header := struct {
		version uint32 // _LINUX_CAPABILITY_VERSION_3
		pid     int32
	}{version: 0x20080522}
	var sets [2]struct{ effective, permitted, inheritable uint32 }
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0)
	return errno != 0 || sets[0].permitted|sets[1].permitted != 0
}

// secureVector implements secure for an auxiliary vector.
func secureVector(auxv []byte) bool {
	const (
		atSecure = 23
		word     = 4 << (^uintptr(0) >> 63) // bytes
	)
	read := func(b []byte) uint64 {
		if word == 4 {
			return uint64(binary.NativeEndian.Uint32(b))
		}
		return binary.NativeEndian.Uint64(b)
	}
	for ; len(auxv) >= 2*word; auxv = auxv[2*word:] {
		if read(auxv) == atSecure {
			return read(auxv[word:]) != 0
		}
	}
	return false
}
