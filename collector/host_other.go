//go:build !linux

package collector

func kernelRelease() string { return "" }
