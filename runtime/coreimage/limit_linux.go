//go:build linux && (amd64 || arm64)

package coreimage

import "syscall"

// fileSizeLimit returns RLIMIT_FSIZE.
func fileSizeLimit() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit) != nil {
		return ^uint64(0)
	}
	return limit.Cur
}
