//go:build unix

package corefile

import (
	"io/fs"
	"syscall"
)

// onDisk returns how many bytes of the disk a file takes.
func onDisk(info fs.FileInfo) int64 { return info.Sys().(*syscall.Stat_t).Blocks * 512 }
