package capture

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// kernelRelease returns what uname -r prints.
func kernelRelease() string {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return ""
	}
	return unix.ByteSliceToString(uts.Release[:])
}

// ownerOf returns the owner of the files in /proc/PID: the process' own user,
// but root if the process may not be dumped.
func ownerOf(pid int) (int, error) {
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/status", pid), &st); err != nil {
		return 0, err
	}
	return int(st.Uid), nil
}
