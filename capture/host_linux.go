package capture

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// kernelRelease is what uname -r prints.
func kernelRelease() string {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return ""
	}
	return unix.ByteSliceToString(uts.Release[:])
}

// ownerOf is the user to whom the files in /proc/PID belong: the process' own,
// but root when the process may not be dumped.
func ownerOf(pid int) (int, error) {
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/status", pid), &st); err != nil {
		return 0, err
	}
	return int(st.Uid), nil
}
