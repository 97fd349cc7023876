//go:build !linux || !(amd64 || arm64)

package coreimage

import (
	"fmt"
	"runtime"
)

func plan([]Option) (*image, error) {
	if runtime.GOOS == "linux" {
		return nil, fmt.Errorf("%w: cores of linux/%s are not supported", ErrUnsupported, runtime.GOARCH)
	}
	return nil, fmt.Errorf("%w: %s has no ELF cores", ErrUnsupported, runtime.GOOS)
}

// A Live is a core image that is kept up to date in memory. This system does
// not support it.
type Live struct{}

// NewLive returns ErrUnsupported on this system.
func NewLive(int) (*Live, error) {
	_, err := plan(nil)
	return nil, err
}

// Places returns nothing on this system.
func (l *Live) Places() []Place { return nil }

// Close does nothing on this system.
func (l *Live) Close() error { return nil }

func fileSizeLimit() uint64 { return ^uint64(0) }
