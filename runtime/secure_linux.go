//go:build !meminspect_off

package meminspect

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// secure reports whether this program has more rights than the user who started it:
// a set-user-ID program, or one with file capabilities. Its environment is that
// user's, and is not trusted.
func secure() bool {
	if syscall.Getuid() != syscall.Geteuid() || syscall.Getgid() != syscall.Getegid() {
		return true
	}
	auxv, err := os.ReadFile("/proc/self/auxv")
	return secureVector(auxv, err)
}

// secureVector is secure for the auxiliary vector. The kernel lets a program with
// file capabilities not read its own; without /proc, the IDs decide.
func secureVector(auxv []byte, err error) bool {
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
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
