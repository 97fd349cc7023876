package linker

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// signatures are the extended attributes that hold a signature or a hash of the
// file (the kernel's integrity subsystem).
var signatures = []string{"security.ima", "security.evm"}

// checkAttributes rejects a file that its extended attributes sign.
func checkAttributes(f *os.File) error {
	for _, name := range signatures {
		if n, err := unix.Fgetxattr(int(f.Fd()), name, nil); err == nil && n > 0 {
			return fmt.Errorf("%w: it has the attribute %s", ErrSigned, name)
		}
	}
	return nil
}

// keepOwner gives dst the owner in info.
func keepOwner(dst *os.File, info os.FileInfo) error {
	want, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	now, err := dst.Stat()
	if err != nil {
		return err
	}
	if have, ok := now.Sys().(*syscall.Stat_t); ok && have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	return dst.Chown(int(want.Uid), int(want.Gid))
}

// copyAttributes copies the extended attributes, for example file capabilities.
// It omits security labels, which the system's policy assigns.
func copyAttributes(dst, src *os.File) error {
	size, err := unix.Flistxattr(int(src.Fd()), nil)
	if errors.Is(err, unix.ENOTSUP) || err == nil && size == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	list := make([]byte, size)
	if size, err = unix.Flistxattr(int(src.Fd()), list); err != nil {
		return err
	}
	for _, name := range strings.Split(strings.TrimRight(string(list[:size]), "\x00"), "\x00") {
		if name == "" || name == "security.selinux" {
			continue
		}
		n, err := unix.Fgetxattr(int(src.Fd()), name, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		value := make([]byte, n)
		if n, err = unix.Fgetxattr(int(src.Fd()), name, value); err == nil {
			err = unix.Fsetxattr(int(dst.Fd()), name, value[:n], 0)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
