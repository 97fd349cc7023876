//go:build linux

package heapreport

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkHeap reads the heap of examples/leak after 300,000 visits: by default,
// with paths, and, if GRF names an installed grf (github.com/cloudwego/goref), by
// grf attach of the same process.
func BenchmarkHeap(b *testing.B) {
	bin := filepath.Join(b.TempDir(), "leak")
	build := exec.Command("go", "build", "-o", bin, "./examples/leak")
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	run := exec.Command(bin, "-visits", "300000")
	stdout, err := run.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := run.Start(); err != nil {
		b.Fatal(err)
	}
	defer run.Wait()
	defer run.Process.Kill()
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		b.Fatal(err)
	}
	pid := run.Process.Pid
	for _, paths := range []bool{false, true} {
		name := map[bool]string{false: "default", true: "paths"}[paths]
		b.Run(name, func(b *testing.B) {
			var stopped time.Duration
			var r *Report
			before, rounds := cpuTime(b, syscall.RUSAGE_SELF), 0
			for b.Loop() {
				if r, err = OfProcess(context.Background(), pid, Options{Paths: paths}); err != nil {
					b.Fatal(err)
				}
				stopped += time.Duration(r.Stopped)
				rounds++
			}
			b.ReportMetric(float64(stopped.Milliseconds())/float64(rounds), "stopped-ms")
			b.ReportMetric(float64((cpuTime(b, syscall.RUSAGE_SELF)-before).Milliseconds())/float64(rounds), "cpu-ms")
			b.ReportMetric(float64(r.Heap.Objects)/1e6, "Mobjects")
			b.ReportMetric(float64(r.Heap.Bytes)/(1<<20), "heap-MiB")
		})
	}
	grf := os.Getenv("GRF")
	if grf == "" {
		return
	}
	b.Run("grf", func(b *testing.B) {
		before, rounds := cpuTime(b, syscall.RUSAGE_CHILDREN), 0
		for b.Loop() {
			attach := exec.Command(grf, "attach", strconv.Itoa(pid))
			attach.Dir = b.TempDir()
			if out, err := attach.CombinedOutput(); err != nil {
				b.Fatalf("%s: %v\n%s", strings.Join(attach.Args, " "), err, out)
			}
			rounds++
		}
		b.ReportMetric(float64((cpuTime(b, syscall.RUSAGE_CHILDREN)-before).Milliseconds())/float64(rounds), "cpu-ms")
	})
}

// cpuTime is the processor time that this process, or its children, took.
func cpuTime(b *testing.B, who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
