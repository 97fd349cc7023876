//go:build !linux

package capture

import "errors"

func kernelRelease() string { return "" }

func ownerOf(int) (int, error) { return 0, errors.ErrUnsupported }
