// Package crashenv is the text in which a supervisor tells a program's runtime
// where its end of the crash socket is: an environment variable with a
// descriptor and an inode,
//
//	MEMINSPECT_CRASH=3:48151623
//
// The inode is there because an environment travels further than descriptors
// do: a grandchild that inherited the variable and has something else open
// under that number must not take it for a crash socket.
package crashenv

import "strconv"

// Variable is the environment variable's name.
const Variable = "MEMINSPECT_CRASH"

// Value returns the variable's value for a socket with the given inode that the
// program will find under descriptor fd.
func Value(fd int, inode uint64) string {
	return strconv.Itoa(fd) + ":" + strconv.FormatUint(inode, 10)
}

// Parse is Value's inverse. It reports false for anything that Value does not
// write, among it descriptors below 3, which are never a crash socket.
func Parse(value string) (fd int, inode uint64, ok bool) {
	for i := 0; i < len(value); i++ {
		if value[i] != ':' {
			continue
		}
		fd, err := strconv.ParseUint(value[:i], 10, 31)
		if err != nil || fd < 3 {
			return 0, 0, false
		}
		inode, err := strconv.ParseUint(value[i+1:], 10, 64)
		if err != nil || inode == 0 || Value(int(fd), inode) != value {
			return 0, 0, false
		}
		return int(fd), inode, true
	}
	return 0, 0, false
}
