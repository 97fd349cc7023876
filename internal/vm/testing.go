//go:build linux

package vm

import (
	"context"
	"errors"
	"os"
	"testing"
)

// Need returns the kernel of the first of some series that the system's packages have,
// see [FetchKernel]. If QEMU or the kernel is not available, the test is skipped, and on
// CI, which promises both, it fails.
func Need(tb testing.TB, arch string, lines ...Line) Kernel {
	tb.Helper()
	_, err := Emulator(arch)
	var k Kernel
	if err == nil {
		k, err = fetchFirst(tb.Context(), arch, lines)
	}
	missing(tb, err)
	return k
}

// fetchFirst returns the kernel of the first series that the system's packages have.
func fetchFirst(ctx context.Context, arch string, lines []Line) (k Kernel, err error) {
	for _, line := range lines {
		if k, err = FetchKernel(ctx, arch, line); !errors.Is(err, ErrNoSeries) {
			return k, err
		}
	}
	return k, err
}

// NeedPackages returns the package files of the packages and of all that they depend
// on, see [FetchPackages]. If they are not available, it does what [Need]
// does.
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
