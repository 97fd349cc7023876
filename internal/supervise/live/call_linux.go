package live

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// writeCall is the system call number of write(2) as /proc shows it.
var writeCall = strconv.Itoa(unix.SYS_WRITE)
