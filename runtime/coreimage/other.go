//go:build !linux || !(amd64 || arm64)

package coreimage

import (
	"fmt"
	"runtime"

	meminspect "github.com/meminspect/meminspect/runtime"
)

func plan([]Option) (*image, error) {
	if runtime.GOOS == "linux" {
		return nil, fmt.Errorf("%w: the registers of linux/%s have no layout here yet", ErrUnsupported, runtime.GOARCH)
	}
	return nil, fmt.Errorf("%w: %s has no ELF cores", ErrUnsupported, runtime.GOOS)
}

// Live keeps the head of a core image in memory; not on this system.
type Live struct{}

// NewLive returns ErrUnsupported here.
func NewLive(int) (*Live, error) {
	_, err := plan(nil)
	return nil, err
}

// Name is "coreimage".
func (l *Live) Name() string { return "coreimage" }

// RegisterRegion does nothing here.
func (l *Live) RegisterRegion(meminspect.Region) error { return nil }

// UnregisterRegion does nothing here.
func (l *Live) UnregisterRegion(meminspect.Region) error { return nil }

// Announce does nothing here.
func (l *Live) Announce() {}

// Withdraw does nothing here.
func (l *Live) Withdraw() {}

// Places returns nothing here.
func (l *Live) Places() []Place { return nil }

func fileSizeLimit() uint64 { return ^uint64(0) }
