//go:build linux

package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/peak"
)

// What `print` costs for a map of 300,000 structs with texts, maps and slices: time,
// and the memory that the command takes.
func BenchmarkPrint(b *testing.B) {
	dir := b.TempDir()
	exe, tool, core, pid := filepath.Join(dir, "sessions"), filepath.Join(dir, "meminspect"), filepath.Join(dir, "sessions.core"), filepath.Join(dir, "pid")
	for out, pkg := range map[string]string{exe: "./testdata/sessions", tool: "../../cmd/meminspect"} {
		if text, err := exec.Command("go", "build", "-o", out, pkg).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, text)
		}
	}
	p := exec.Command(exe, "300000", pid, "open")
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	defer p.Wait()
	defer p.Process.Kill()
	await.True(b, "the program is ready", func() bool { _, err := os.Stat(pid); return err == nil })
	capture := exec.Command(tool, "capture", strconv.Itoa(p.Process.Pid), "-q", "-o", core, "--budget", "2GiB", "--region-budget", "1GiB")
	if text, err := capture.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	runner := peak.Build(b)
	for _, arg := range []string{"main.sessions", "main.sessions[*].User", `main.sessions["user123456"]`, "len(main.sessions)"} {
		b.Run(arg, func(b *testing.B) {
			var resident int64
			for b.Loop() {
				most, err := runner.Run(exec.Command(tool, "print", "--elements", "-1", core, arg))
				if err != nil {
					b.Fatal(err)
				}
				resident = max(resident, most)
			}
			b.ReportMetric(float64(resident)/(1<<20), "MiB-resident")
		})
	}
}
