//go:build linux

package crash

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/crasher"
)

// BenchmarkCrash compares what is left of a panic, and when: by us, by the
// kernel under GOTRACEBACK=crash, and by a crash monitor in the manner of
// x/telemetry, a process that reads the program's report from a pipe. A round is
// a whole life of the program, from its start to its end and the file;
// fault-to-file begins with the first byte of its report on standard error.
func BenchmarkCrash(b *testing.B) {
	program, meminspect := crasher.Build(b, crasher.Plain), tool(b)
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			_ = exec.Command(program, "panic").Run() // it dies
		}
	})
	b.Run("run", func(b *testing.B) {
		dir := b.TempDir()
		report := filepath.Join(dir, "report")
		var held time.Duration
		t := timing{pattern: dir + "/*.core"}
		for b.Loop() {
			os.Remove(report)
			t.round(b, exec.Command(meminspect, "run", "--json", "--report", report, "--dir", dir, "--limit=0", "--limit-all=0", "--", program, "panic"))
			held += heldFor(b, report)
		}
		t.report(b)
		b.ReportMetric(held.Seconds()*1e3/float64(b.N), "held-ms/op")
	})
	b.Run("kernel", func(b *testing.B) {
		pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
		if err != nil || strings.ContainsAny(string(pattern), "|/") {
			b.Skipf("core_pattern is %q, which leaves no file in the working directory", pattern)
		}
		dir := b.TempDir()
		// The file has its name before it is whole.
		t := timing{pattern: dir + "/core*", atEnd: true}
		for b.Loop() {
			cmd := exec.Command("sh", "-c", "ulimit -c unlimited; exec \"$@\"", "sh", program, "panic")
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOTRACEBACK=crash")
			t.round(b, cmd)
		}
		t.report(b)
	})
	b.Run("telemetry", func(b *testing.B) {
		t := timing{pattern: filepath.Join(b.TempDir(), "report")}
		for b.Loop() {
			t.round(b, exec.Command(program, "telemetry", t.pattern, "now"))
		}
		t.report(b)
	})
}

// A timing adds up what came of rounds.
type timing struct {
	pattern string // of the one file that a round leaves
	atEnd   bool   // the file is whole when the program has ended, not before

	took  time.Duration
	bytes int64
}

func (t *timing) round(b *testing.B, cmd *exec.Cmd) {
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	w.Close()
	if n, err := r.Read(make([]byte, 1)); n != 1 {
		b.Fatalf("%v printed nothing: %v", cmd.Args, err)
	}
	began := time.Now()
	go func() { _, _ = io.Copy(io.Discard, r) }() // ends with the program
	if t.atEnd {
		cmd.Wait()
	}
	var found []string
	for time.Since(began) < 10*time.Second {
		if found, _ = filepath.Glob(t.pattern); len(found) > 0 {
			break
		}
		time.Sleep(200 * time.Microsecond) // the resolution of the measurement
	}
	t.took += time.Since(began)
	if !t.atEnd {
		cmd.Wait()
	}
	if len(found) != 1 {
		b.Fatalf("%v are left as %s", found, t.pattern)
	}
	fi, err := os.Stat(found[0])
	if err != nil {
		b.Fatal(err)
	}
	t.bytes = fi.Size()
	os.Remove(found[0])
}

func (t *timing) report(b *testing.B) {
	b.ReportMetric(t.took.Seconds()*1e3/float64(b.N), "fault-to-file-ms/op")
	b.ReportMetric(float64(t.bytes), "file-bytes")
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
			var all time.Duration
			for b.Loop() {
				out, err := exec.Command(wrap[0], append(wrap[1:], "work")...).Output()
				if err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				d, err := time.ParseDuration(strings.TrimSpace(string(out)))
				if err != nil {
					b.Fatal(err)
				}
				all += d
			}
			b.ReportMetric(all.Seconds()*1e3/float64(b.N), "work-ms/op")
		})
	}
}

// BenchmarkRest measures a supervisor whose program does nothing: its processor
// time in a second, and its resident memory, each at the end of ten seconds.
func BenchmarkRest(b *testing.B) {
	program := crasher.Build(b, crasher.Plain)
	for name, args := range map[string][]string{"plain": {"wait"}, "heartbeat": {"beat"}} {
		b.Run(name, func(b *testing.B) {
			cmd := exec.Command(tool(b), append([]string{"run", "--quiet", "--dir", b.TempDir(), "--", program}, args...)...)
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Signal(syscall.SIGTERM) // for the program
				_ = cmd.Wait()
			}()
			time.Sleep(5 * time.Second) // its start
			const seconds = 10
			var used time.Duration
			var most int64
			for b.Loop() {
				before := processorTime(b, cmd.Process.Pid)
				time.Sleep(seconds * time.Second) // the time of rest that is measured
				used += processorTime(b, cmd.Process.Pid) - before
				most = max(most, resident(b, cmd.Process.Pid))
			}
			b.ReportMetric(used.Seconds()*1e3/float64(b.N)/seconds, "cpu-ms/s")
			b.ReportMetric(float64(most)/1e6, "resident-MB")
		})
	}
}

// processorTime returns what the threads of a process have used, to the
// nanosecond.
func processorTime(b *testing.B, pid int) (sum time.Duration) {
	b.Helper()
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if len(tasks) == 0 {
		b.Fatalf("the kernel has no account of the threads of process %d", pid)
	}
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // it may have ended
		if fields := strings.Fields(string(text)); len(fields) == 3 {
			n, err := strconv.ParseInt(fields[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(n)
		}
	}
	return sum
}

// BenchmarkSignals measures the detour that a signal to the main thread takes
// while the exit stop is on: to the tracer and back.
func BenchmarkSignals(b *testing.B) {
	program := crasher.Build(b, crasher.Plain)
	for _, way := range []struct {
		name string
		wrap []string
	}{
		{"alone", []string{program}},
		{"run", []string{tool(b), "run", "--quiet", "--dir", b.TempDir(), "--", program}},
		{"no-exit-stop", []string{tool(b), "run", "--quiet", "--exit-stop=off", "--dir", b.TempDir(), "--", program}},
	} {
		b.Run(way.name, func(b *testing.B) {
			var all time.Duration
			for b.Loop() {
				out, err := exec.Command(way.wrap[0], append(way.wrap[1:], "detour")...).Output()
				if err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				d, err := time.ParseDuration(strings.TrimSpace(string(out)))
				if err != nil {
					b.Fatal(err)
				}
				all += d
			}
			b.ReportMetric(all.Seconds()*1e6/float64(b.N), "us/signal")
		})
	}
}

// heldFor reads from a report how long the one capture held the program.
func heldFor(b *testing.B, report string) time.Duration {
	data, err := os.ReadFile(report)
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err == nil && e.What == "captured" {
			return e.Held
		}
	}
	b.Fatalf("nothing was captured: %s", data)
	return 0
}
