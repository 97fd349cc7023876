//go:build linux

package crash

import (
	"os"
	"testing"

	"github.com/meminspect/meminspect/internal/crasher"
)

func TestMain(m *testing.M) {
	status := m.Run()
	crasher.Clean()
	if build.dir != "" {
		os.RemoveAll(build.dir)
	}
	os.Exit(status)
}
