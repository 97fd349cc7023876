//go:build linux

package vm

import (
	"errors"
	"os"
	"testing"
)

// Need returns the newest kernel of a series. If QEMU or the kernel cannot be had, the
// test is skipped, and on CI, which promises both, it fails.
func Need(tb testing.TB, arch string, line Line) Kernel {
	tb.Helper()
	_, err := Emulator(arch)
	var k Kernel
	if err == nil {
		k, err = FetchKernel(tb.Context(), arch, line)
	}
	missing(tb, err)
	return k
}

// NeedPackages returns the package files of the packages and of all that they depend
// on, see [FetchPackages]. If they cannot be had, it does what [Need] does.
func NeedPackages(tb testing.TB, arch string, names ...string) []string {
	tb.Helper()
	files, err := FetchPackages(tb.Context(), arch, names...)
	missing(tb, err)
	return files
}

func missing(tb testing.TB, err error) {
	tb.Helper()
	if errors.Is(err, ErrMissing) && os.Getenv("CI") != "true" {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
}
