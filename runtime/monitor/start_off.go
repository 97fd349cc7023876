//go:build !linux || meminspect_off

package monitor

func start(Options) (string, error) { return "", ErrUnsupported }
