//go:build linux

package crash

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/crasher"
)

// BenchmarkCrash compares what is left of a panic, and when: by us, by the
// kernel under GOTRACEBACK=crash, and by a crash output that is a file, as crash
// monitors of the kind of x/telemetry use. A round is a whole life of the
// program, from its start to its end and the file.
func BenchmarkCrash(b *testing.B) {
	program := crasher.Build(b, crasher.Plain)
	size := func(b *testing.B, pattern string) int64 {
		found, _ := filepath.Glob(pattern)
		if len(found) == 0 {
			b.Fatalf("nothing is left as %s", pattern)
		}
		fi, err := os.Stat(found[0])
		if err != nil {
			b.Fatal(err)
		}
		for _, path := range found {
			os.Remove(path)
		}
		return fi.Size()
	}
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			exec.Command(program, "panic").Run()
		}
	})
	b.Run("run", func(b *testing.B) {
		dir := b.TempDir()
		report := filepath.Join(dir, "report")
		var bytes int64
		var held, took time.Duration
		for b.Loop() {
			os.Remove(report)
			cmd := exec.Command(tool(b), "run", "--json", "--report", report, "--dir", dir, "--limit=0", "--limit-all=0", "--", program, "panic")
			cmd.Run()
			bytes = size(b, dir+"/*.core")
			h, t := durations(b, report)
			held, took = held+h, took+t
		}
		b.ReportMetric(float64(bytes), "core-bytes")
		b.ReportMetric(held.Seconds()*1e3/float64(b.N), "held-ms/op")
		b.ReportMetric(took.Seconds()*1e3/float64(b.N), "fault-to-file-ms/op")
	})
	b.Run("kernel", func(b *testing.B) {
		pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
		if err != nil || strings.ContainsAny(string(pattern), "|/") {
			b.Skipf("core_pattern is %q, which leaves no file in the working directory", pattern)
		}
		dir := b.TempDir()
		var bytes int64
		for b.Loop() {
			cmd := exec.Command("sh", "-c", "ulimit -c unlimited; exec \"$@\"", "sh", program, "panic")
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOTRACEBACK=crash")
			cmd.Run()
			bytes = size(b, dir+"/core*")
		}
		b.ReportMetric(float64(bytes), "core-bytes")
	})
	b.Run("crash-output", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "text")
		var bytes int64
		for b.Loop() {
			exec.Command(program, "own", path, "now").Run()
			bytes = size(b, path)
		}
		b.ReportMetric(float64(bytes), "core-bytes")
	})
}

// BenchmarkQuiet compares a program that works, and takes signals all the time
// as the runtime's own preemption sends them, alone and supervised.
func BenchmarkQuiet(b *testing.B) {
	program := crasher.Build(b, crasher.Plain)
	for name, wrap := range map[string][]string{
		"alone":        {program},
		"run":          {tool(b), "run", "--quiet", "--dir", b.TempDir(), "--", program},
		"no-exit-stop": {tool(b), "run", "--quiet", "--exit-stop=off", "--dir", b.TempDir(), "--", program},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				out, err := exec.Command(wrap[0], append(wrap[1:], "work")...).Output()
				if err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				d, err := time.ParseDuration(strings.TrimSpace(string(out)))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(d.Seconds()*1e3, "work-ms")
			}
		})
	}
}

// durations reads the times of the one capture in a report.
func durations(b *testing.B, report string) (held, took time.Duration) {
	data, err := os.ReadFile(report)
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err == nil && e.What == "captured" {
			return e.Held, e.Took
		}
	}
	b.Fatalf("nothing was captured: %s", data)
	return 0, 0
}
