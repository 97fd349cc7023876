//go:build linux

package acceptance

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/inspect"
)

func loadProgram(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "load")
	build := exec.Command("go", "build", "-o", exe, "./testdata/load")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exe
}

// A core of a thousand regions of a kilobyte says of each what it is and is
// hardly larger than the memory in it.
func TestManyRegions(t *testing.T) {
	p := start(t, loadProgram(t), "regions", "1000")
	path, summary := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways})
	if over := float64(summary.Bytes)/float64(summary.Payload) - 1; over > 0.05 {
		t.Errorf("%d bytes for %d of memory, %.1f %% more", summary.Bytes, summary.Payload, 100*over)
	}
	core, err := inspect.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	named := map[string]bool{}
	for _, r := range core.Regions {
		if r.Size == 1<<10 && r.Captured == r.Size && r.Type == "uint8" {
			named[r.Name] = true
		}
	}
	for i := range 1000 {
		if name := fmt.Sprint("region", i); !named[name] {
			t.Errorf("%s is not in the table as it should be", name)
		}
	}
}

// Whoever wants a small file of many goroutines gets it for more segments.
func TestMoreSegments(t *testing.T) {
	p := start(t, loadProgram(t), "goroutines", "3000")
	_, few := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways})
	_, many := takeCore(t, p.Process.Pid, capture.Options{Stop: capture.StopAlways, Segments: 8000})
	if few.Segments > capture.DefaultSegments || many.Segments <= few.Segments || many.Bytes > few.Bytes*3/4 {
		t.Errorf("%d segments are %d bytes, %d are %d", few.Segments, few.Bytes, many.Segments, many.Bytes)
	}
}
