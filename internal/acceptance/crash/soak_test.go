//go:build linux

package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/crasher"
)

// A collector that is killed at any moment of a crash holds nobody, and leaves
// no half core under a final name.
func TestCollectorKilled(t *testing.T) {
	program := crasher.Build(t, crasher.Plain)
	rounds := 20
	if os.Getenv("MEMINSPECT_FULL") != "" {
		rounds = 200
	}
	cores := 0
	for i := range rounds {
		r := start(t, plainly, nil, program, nil, "wait")
		pid := r.event(t, "started").PID
		waitOutput(t, r, "ready")
		way := []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL}[i%2]
		syscall.Kill(pid, way)
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		r.cmd.Process.Kill()
		<-r.end
		gone := false
		for end := time.Now().Add(5 * time.Second); !gone && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			s := state(pid)
			gone = s == "" || s == "Z"
		}
		if !gone {
			t.Fatalf("round %d: the program is in state %s after %v and the loss of its collector", i, state(pid), way)
		}
		for _, core := range r.cores(t) {
			cores++
			if out, err := command(t, "info", core); err != nil {
				t.Errorf("round %d: %v: %s", i, err, out)
			}
		}
	}
	t.Logf("%d of %d collectors had written their core", cores, rounds)
}

// BenchmarkSoak lets programs be killed, panic, hang and end at random, several
// at a time, for as long as MEMINSPECT_SOAK says (20s; 30m is what a release
// gets). Nothing may be lost: one core for each death, nothing half, no process,
// descriptor or file left over.
func BenchmarkSoak(b *testing.B) {
	length := 20 * time.Second
	if text := os.Getenv("MEMINSPECT_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			b.Fatal(err)
		}
	}
	program := crasher.Build(b, crasher.Plain)
	path := tool(b)
	ways := []struct {
		args   []string
		reason string
	}{
		{[]string{"panic"}, "panic"}, {[]string{"nil"}, "nil-dereference"}, {[]string{"map"}, "concurrent-map"},
		{[]string{"sigkill"}, "signal-sigkill"}, {[]string{"exit3"}, "exit-3"}, {[]string{"sigquit"}, "signal-sigquit"},
		{[]string{"snapshot"}, "order-lost"}, {[]string{"hang"}, "hang"}, {[]string{"exit0"}, ""},
	}
	before := len(must(os.ReadDir("/proc/self/fd")))
	for b.Loop() {
		var wg sync.WaitGroup
		var mu sync.Mutex
		deaths, end := 0, time.Now().Add(length)
		for range 4 {
			wg.Go(func() {
				for time.Now().Before(end) {
					way := ways[rand.IntN(len(ways))]
					err := soakOnce(path, program, way.args, way.reason)
					mu.Lock()
					deaths++
					mu.Unlock()
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(float64(deaths)/length.Seconds(), "deaths/s")
		b.ReportMetric(float64(deaths), "deaths")
	}
	if after := len(must(os.ReadDir("/proc/self/fd"))); after > before+2 {
		b.Errorf("%d descriptors before, %d after", before, after)
	}
}

// soakOnce runs one program to its end and checks what it left.
func soakOnce(path, program string, args []string, reason string) error {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd := soakCommand(path, dir, program, args)
	out, _ := cmd.CombinedOutput()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var cores, strays []string
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasSuffix(name, ".core"):
			cores = append(cores, name)
		case name != ".limits.json" && name != ".lock":
			strays = append(strays, name)
		}
	}
	if len(strays) > 0 {
		return fmt.Errorf("%v left %v", args, strays)
	}
	if reason == "" && len(cores) == 0 {
		return nil
	}
	if len(cores) != 1 || !strings.HasSuffix(cores[0], "."+reason+".core") {
		return fmt.Errorf("%v left %v, want one for %q: %s", args, cores, reason, out)
	}
	if out, err := info(path, filepath.Join(dir, cores[0])); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}
