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
	if dir, err := buildDir(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}
