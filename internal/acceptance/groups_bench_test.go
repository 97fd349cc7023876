//go:build linux

package acceptance

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/peak"
)

// What the groups of many goroutines cost, for 100,000 compared with Delve: time, and the
// memory that the commands take.
func BenchmarkGroups(b *testing.B) {
	needAMD64(b)
	for _, n := range []int{100_000, 200_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			dir := b.TempDir()
			exe, tool, core := filepath.Join(dir, "load"), filepath.Join(dir, "meminspect"), filepath.Join(dir, "many.core")
			buildFor(b, exe, "./testdata/load")
			buildFor(b, tool, "../../cmd/meminspect")
			pid := startLoad(b, exe, "goroutines", strconv.Itoa(n))
			capture := exec.Command(tool, "capture", strconv.Itoa(pid), "-q", "-o", core, "--budget", "1GiB")
			if text, err := capture.CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, text)
			}
			runner := peak.Build(b)
			b.Run("meminspect", func(b *testing.B) { measure(b, runner, exec.Command(tool, "goroutines", "--group", core)) })
			if n == 100_000 {
				cmd, err := debuggers.DelveCommand(b.TempDir(), exe, core, "goroutines -group userloc")
				if err != nil {
					b.Fatal(err)
				}
				b.Run("Delve", func(b *testing.B) { measure(b, runner, cmd) })
			}
		})
	}
}

// startLoad starts testdata/load, and returns its process ID when it is ready.
func startLoad(b *testing.B, exe string, args ...string) (pid int) {
	b.Helper()
	p := exec.Command(exe, args...)
	out, err := p.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	if _, err := out.Read(make([]byte, 16)); err != nil {
		b.Fatal(err)
	}
	return p.Process.Pid
}

func buildFor(b *testing.B, out, pkg string) {
	b.Helper()
	if text, err := exec.Command("go", "build", "-o", out, pkg).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
}

// measure runs a command again and again, and reports the most memory that it had.
func measure(b *testing.B, runner peak.Runner, cmd *exec.Cmd) {
	b.Helper()
	var resident int64
	for b.Loop() {
		most, err := runner.Run(cmd)
		if err != nil {
			b.Fatal(err)
		}
		resident = max(resident, most)
	}
	b.ReportMetric(float64(resident)/(1<<20), "MiB-resident")
}
