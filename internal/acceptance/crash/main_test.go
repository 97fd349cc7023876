package crash

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/meminspect/meminspect/internal/crasher"
)

func TestMain(m *testing.M) {
	status := m.Run()
	crasher.Clean()
	if build.path != "" {
		os.RemoveAll(filepath.Dir(build.path))
	}
	os.Exit(status)
}
