//go:build linux

package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/crasher"
)

// BenchmarkSoak makes programs be killed, panic, hang and end at random,
// several at a time, for as long as MEMINSPECT_SOAK sets (20s; a release uses
// 30m), while one program runs all the time and is captured repeatedly. It
// checks for one core per crash, no incomplete core, no leftover process,
// descriptor or file, and no memory growth of the long-running supervisor.
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
		lasting := startLasting(b, path, program)
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
		lasting.end(b)
		b.ReportMetric(float64(deaths)/length.Seconds(), "deaths/s")
		b.ReportMetric(float64(deaths), "deaths")
	}
	if after := len(must(os.ReadDir("/proc/self/fd"))); after > before+2 {
		b.Errorf("%d descriptors before, %d after", before, after)
	}
	if left := running(program, path); len(left) != 0 {
		b.Errorf("processes left: %v", left)
	}
}

// running lists the processes of these executables, including zombies.
func running(executables ...string) []string {
	var found []string
	names := map[string]bool{}
	for _, e := range executables {
		name := filepath.Base(e)
		names[name[:min(len(name), 15)]] = true // as the kernel cuts it
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, _ := os.ReadFile(stat)
		_, rest, _ := strings.Cut(string(text), "(")
		name, rest, ok := strings.Cut(rest, ") ")
		if !ok || !names[name] {
			continue
		}
		exe, err := os.Readlink(filepath.Join(filepath.Dir(stat), "exe"))
		if err != nil || slices.Contains(executables, exe) {
			found = append(found, filepath.Base(filepath.Dir(stat))+" "+name+" "+rest[:1])
		}
	}
	return found
}

// A lasting is a program that lives through the soak, with its supervisor.
type lasting struct {
	cmd      *exec.Cmd
	dir      string
	tool     string
	stop     chan struct{}
	asked    sync.WaitGroup
	warm     [2]int64 // the supervisor's memory and descriptors after its first captures
	triggers int
	failed   error
}

func startLasting(b *testing.B, path, program string) *lasting {
	l := &lasting{dir: b.TempDir(), tool: path, stop: make(chan struct{})}
	l.cmd = exec.Command(path, "run", "--dir", l.dir, "--quiet", "--report", l.dir+"/report", "--limit=0", "--limit-all=0", "--keep=10", "--on=sigterm",
		"--snapshot=200ms", "--snapshot-keep=3", "--", program, "restless")
	if err := l.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	l.asked.Go(l.ask)
	return l
}

// ask wants a core every quarter of a second.
func (l *lasting) ask() {
	for ; ; l.triggers++ {
		select {
		case <-l.stop:
			return
		case <-time.After(250 * time.Millisecond):
		}
		out, err := exec.Command(l.tool, "trigger", "--dir", l.dir).CombinedOutput()
		if err != nil && l.triggers > 0 && l.failed == nil {
			l.failed = fmt.Errorf("trigger %d: %w: %s", l.triggers, err, out)
		}
		if l.triggers == 20 {
			l.warm = l.size()
		}
	}
}

// size returns the memory and the descriptors that the supervisor takes at least:
// between two captures.
func (l *lasting) size() [2]int64 {
	least := [2]int64{1 << 62, 1 << 62}
	for range 50 {
		fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", l.cmd.Process.Pid))
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", l.cmd.Process.Pid))
		var all, resident int64
		if _, err := fmt.Sscan(string(text), &all, &resident); err != nil {
			continue // it is ending
		}
		least[0] = min(least[0], resident*int64(os.Getpagesize()))
		least[1] = min(least[1], int64(len(fds)))
		time.Sleep(50 * time.Millisecond) // between two samples
	}
	return least
}

// end ends the program and holds what its supervisor takes against what it took
// at first.
func (l *lasting) end(b *testing.B) {
	close(l.stop)
	l.asked.Wait()
	now := l.size()
	l.cmd.Process.Signal(syscall.SIGTERM)
	l.cmd.Wait()
	if l.failed != nil {
		b.Error(l.failed)
	}
	b.ReportMetric(float64(l.triggers), "triggers")
	b.ReportMetric(float64(l.warm[0]>>10), "supervisor-KB-at-first")
	b.ReportMetric(float64(now[0]>>10), "supervisor-KB-at-last")
	const noise = 8 << 20 // of what the last captures allocated
	if l.warm[0] == 0 || now[0] > l.warm[0]+noise || now[1] > l.warm[1]+3 {
		b.Errorf("the supervisor takes %d bytes and %d descriptors after %d captures, and at first %d and %d", now[0], now[1], l.triggers, l.warm[0], l.warm[1])
	}
	if cores, _ := filepath.Glob(l.dir + "/*.core"); len(cores) != 10 {
		b.Errorf("%d cores are kept, want 10", len(cores))
	}
	if last, _ := filepath.Glob(l.dir + "/*.signal-sigterm.core"); len(last) != 1 {
		b.Errorf("cores of its end: %v", last)
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
