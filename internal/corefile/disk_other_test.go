//go:build !unix

package corefile

import "io/fs"

// onDisk returns 0: the system does not report it.
func onDisk(fs.FileInfo) int64 { return 0 }
