//go:build linux

package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/meminspect/meminspect/internal/peak"
)

// What `goroutines --group` costs for a core of 200,000 goroutines: time, and the
// memory that the command takes.
func BenchmarkGroups(b *testing.B) {
	needAMD64(b)
	dir := b.TempDir()
	exe, tool, core := filepath.Join(dir, "load"), filepath.Join(dir, "meminspect"), filepath.Join(dir, "many.core")
	for out, pkg := range map[string]string{exe: "./testdata/load", tool: "../../cmd/meminspect"} {
		if text, err := exec.Command("go", "build", "-o", out, pkg).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, text)
		}
	}
	p := exec.Command(exe, "goroutines", "200000")
	out, err := p.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	defer p.Wait()
	defer p.Process.Kill()
	if _, err := out.Read(make([]byte, 16)); err != nil {
		b.Fatal(err)
	}
	capture := exec.Command(tool, "capture", strconv.Itoa(p.Process.Pid), "-q", "-o", core, "--budget", "1GiB")
	if text, err := capture.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	runner := peak.Build(b)
	var resident int64
	for b.Loop() {
		most, err := runner.Run(exec.Command(tool, "goroutines", "--group", core))
		if err != nil {
			b.Fatal(err)
		}
		resident = max(resident, most)
	}
	b.ReportMetric(float64(resident)/(1<<20), "MiB-resident")
	if info, err := os.Stat(core); err == nil {
		b.ReportMetric(float64(info.Size()), "core-bytes")
	}
}
