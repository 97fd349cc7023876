//go:build linux

package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/peak"
)

// BenchmarkFilter measures filtering gdb's core of a program with a graph of a
// million objects and two gigabytes of unannotated heap: time, and the
// command's memory, which must not grow with the core.
func BenchmarkFilter(b *testing.B) {
	if runtime.GOARCH != "amd64" {
		b.Skip("compared on amd64 alone")
	}
	dir := b.TempDir()
	exe, tool := filepath.Join(dir, "load"), filepath.Join(dir, "meminspect")
	for out, pkg := range map[string]string{exe: "./testdata/load", tool: "../../cmd/meminspect"} {
		cmd := exec.Command("go", "build", "-o", out, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, text)
		}
	}
	for _, c := range []struct {
		name         string
		objects, mib int
	}{{"regions", 0, 0}, {"regions-2GiB", 0, 2048}, {"graph-2GiB", 1_000_000, 2048}} {
		b.Run(c.name, func(b *testing.B) { benchFilter(b, dir, tool, exe, c.objects, c.mib) })
	}
}

func benchFilter(b *testing.B, dir, tool, exe string, objects, mib int) {
	what, n := "regions", 1000
	if objects > 0 {
		what, n = "graph", objects
	}
	pid := startLoad(b, exe, what, strconv.Itoa(n), strconv.Itoa(mib))
	gdb := debuggers.Need(b, "gdb")
	whole, small := filepath.Join(dir, "full.core"), filepath.Join(dir, "small.core")
	defer os.Remove(whole)
	text, err := exec.Command(gdb, "-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off",
		"-p", strconv.Itoa(pid), "-ex", "generate-core-file "+whole, "-ex", "detach").CombinedOutput()
	info, serr := os.Stat(whole)
	if serr != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	runner := peak.Build(b)
	var resident int64
	for b.Loop() {
		most, err := runner.Run(exec.Command(tool, "filter", whole, "-q", "-o", small, "--budget", "1GiB", "--region-budget", "1GiB"))
		if err != nil {
			b.Fatal(err)
		}
		resident = max(resident, most)
	}
	b.ReportMetric(float64(info.Size()), "full-bytes")
	b.ReportMetric(float64(resident)/(1<<20), "MiB-resident")
	if info, err := os.Stat(small); err == nil {
		b.ReportMetric(float64(info.Size()), "core-bytes")
	}
}
