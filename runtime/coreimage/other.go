//go:build !linux || !(amd64 || arm64)

package coreimage

import (
	"fmt"
	"runtime"
)

func plan([]Option) (*image, error) {
	if runtime.GOOS == "linux" {
		return nil, fmt.Errorf("%w: the registers of linux/%s have no layout here yet", ErrUnsupported, runtime.GOARCH)
	}
	return nil, fmt.Errorf("%w: %s has no ELF cores", ErrUnsupported, runtime.GOOS)
}

func fileSizeLimit() uint64 { return ^uint64(0) }
