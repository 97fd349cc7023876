//go:build linux

// Package terminaltest makes pseudo terminals for tests.
package terminaltest

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Open returns both ends of a new pseudo terminal, of 80 columns and 24 lines. They are
// closed when the test ends. It skips the test if the system has no pseudo terminals.
func Open(t *testing.T) (master, slave *os.File) {
	t.Helper()
	skip := func(err error) {
		if err != nil {
			t.Skip("no pseudo terminals here: ", err)
		}
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	skip(err)
	t.Cleanup(func() { master.Close() })
	skip(unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	skip(err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	skip(err)
	t.Cleanup(func() { slave.Close() })
	skip(unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	return master, slave
}
