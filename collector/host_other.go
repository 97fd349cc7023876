//go:build !linux

package collector

import "errors"

func kernelRelease() string { return "" }

func ownerOf(int) (int, error) { return 0, errors.ErrUnsupported }
