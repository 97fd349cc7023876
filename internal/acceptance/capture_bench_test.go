//go:build linux

package acceptance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/gcpause"
	"github.com/meminspect/meminspect/internal/request"
)

// BenchmarkCapture compares the cost of a capture with gdb's gcore and Delve's
// dump of the same process: how long the program is stopped, the total time,
// and the size of the file.
func BenchmarkCapture(b *testing.B) {
	exe := filepath.Join(b.TempDir(), "load")
	cmd := exec.Command("go", "build", "-o", exe, "./testdata/load")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	for _, c := range []struct {
		what string
		n    int
	}{{"regions", 1000}, {"graph", 1_000_000}, {"goroutines", 10_000}, {"goroutines", 100_000}, {"goroutines", 200_000}, {"threads", 5_000}} {
		b.Run(fmt.Sprintf("%s-%d", c.what, c.n), func(b *testing.B) {
			pid := startLoad(b, exe, c.what, fmt.Sprint(c.n))
			b.Run("meminspect", func(b *testing.B) { benchOurs(b, pid) })
			b.Run("gcore", func(b *testing.B) { benchGcore(b, pid) })
			b.Run("delve", func(b *testing.B) { benchDelve(b, pid) })
		})
	}
}

func benchOurs(b *testing.B, pid int) {
	core := filepath.Join(b.TempDir(), "core")
	var stops, walks []time.Duration
	var s *capture.Summary
	for b.Loop() {
		var walk, after time.Time
		c, err := capture.Capture(context.Background(), pid, capture.Options{
			RegionBudget: 1 << 30, Budget: 1 << 30, Stop: capture.StopAlways,
			Request: request.Request{Hold: request.Hold{PauseGC: gcpause.Begin}},
			Progress: func(p capture.Progress) {
				switch {
				case p.Step == "walk":
					walk = time.Now()
				case after.IsZero() && !walk.IsZero():
					after = time.Now()
				}
			},
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := corefile.Save(core, corefile.Form{}, corefile.From(c)); err != nil {
			b.Fatal(err)
		}
		s = c.Summary()
		stops = append(stops, s.Stopped)
		walks = append(walks, after.Sub(walk))
	}
	report := func(ds []time.Duration, what string) {
		slices.Sort(ds)
		b.ReportMetric(float64(ds[0].Microseconds())/1000, "ms-"+what+"-least")
		b.ReportMetric(float64(ds[len(ds)/2].Microseconds())/1000, "ms-"+what+"-median")
	}
	report(stops, "stopped")
	report(walks, "walk")
	b.ReportMetric(float64(s.Bytes), "core-bytes")
	b.ReportMetric(float64(s.Payload), "payload-bytes")
	b.ReportMetric(float64(s.Segments), "segments")
}

// gdb holds the program all the time.
func benchGcore(b *testing.B, pid int) {
	gdb := debuggers.Need(b, "gdb")
	core := filepath.Join(b.TempDir(), "core")
	for b.Loop() {
		_ = os.Remove(core)
		out, err := exec.Command(gdb, "-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off",
			"-p", fmt.Sprint(pid), "-ex", "generate-core-file "+core, "-ex", "detach").CombinedOutput()
		if _, serr := os.Stat(core); serr != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	reportFile(b, core)
}

// Delve holds the program all the time too.
func benchDelve(b *testing.B, pid int) {
	dlv := debuggers.Need(b, "dlv")
	dir := b.TempDir()
	core, script := filepath.Join(dir, "core"), filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("dump "+core+"\nquit -c\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_ = os.Remove(core)
		out, err := exec.Command(dlv, "attach", fmt.Sprint(pid), "--allow-non-terminal-interactive", "--init", script).CombinedOutput()
		if _, serr := os.Stat(core); serr != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	reportFile(b, core)
}

func reportFile(b *testing.B, path string) {
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size()), "core-bytes")
}
