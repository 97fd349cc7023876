//go:build linux && !meminspect_off

package pstore

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/format/ramoops"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

func open(t *testing.T, path string, sizes Sizes) *Store {
	t.Helper()
	s, err := Open(path, sizes)
	if errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func zones(t *testing.T, path string) []ramoops.Zone {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := ramoops.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// Dump records fill their zones in turn, and a run continues where the last one
// ended.
func TestDumps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pstore")
	sizes := Sizes{Records: 3, Record: 4096, Console: 4096, Crash: 4096}
	s, err := Open(path, sizes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		s.Dump(fmt.Sprint("reason ", i), []byte("text"))
		time.Sleep(2 * time.Millisecond) // records are in the order of their times
	}
	s.Close()
	s = open(t, path, sizes)
	s.Dump("reason 4", []byte(strings.Repeat("x", 5000)+"end"))
	var got []string
	for _, z := range zones(t, path) {
		if z.Kind != ramoops.Dump {
			continue
		}
		line, rest, _ := strings.Cut(z.Text, "\n")
		got = append(got, line)
		if z.Torn || z.Compressed || time.Since(z.When) > time.Minute || !strings.HasSuffix(rest, "text") && !strings.HasSuffix(rest, "xend") {
			t.Errorf("%+v", z)
		}
	}
	if fmt.Sprint(got) != "[reason 3 reason 4 reason 2]" {
		t.Errorf("%q", got)
	}
}

// The console keeps the last whole lines, in order.
func TestConsoleAgainstModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pstore")
	s := open(t, path, Sizes{Records: 1, Record: 4096, Console: 4096, Crash: 4096})
	var all strings.Builder
	rng := rand.New(rand.NewPCG(7, 8))
	for i := range 2000 {
		line := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", rng.IntN(90)))
		all.WriteString(line)
		s.Console([]byte(line))
		if i%37 != 0 && i > 100 {
			continue
		}
		z := zones(t, path)[1]
		if z.Torn || !strings.HasSuffix(all.String(), z.Text) || len(z.Text) < min(all.Len(), 3900) {
			t.Fatalf("after line %d: %d bytes, torn %v: %.40q…", i, len(z.Text), z.Torn, z.Text)
		}
		if at := all.Len() - len(z.Text); at > 0 && all.String()[at-1] != '\n' {
			t.Fatalf("after line %d: the first line is cut", i)
		}
	}
}

// Output written after Close, by a goroutine that still runs, is lost without
// harm.
func TestWriteAfterClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pstore")
	s := open(t, path, Sizes{Records: 1, Record: 4096, Console: 4096, Crash: 4096})
	s.Console([]byte("before\n"))
	hb := meminspect.NewHeartbeat("queue", time.Nanosecond)
	defer hb.Stop()
	defer s.Watch(time.Millisecond)()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Console([]byte("after\n"))
	s.Dump("after", nil)
	time.Sleep(5 * time.Millisecond) // the watch writes too
	if _, err := s.Crash(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("crash output of a store that is closed: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if z := zones(t, path); z[1].Text != "before\n" {
		t.Errorf("%+v", z)
	}
	s.Watch(0)()
}

// After a change of sizes no console begins with an old record. Impossible
// sizes are an error and make no file.
func TestSizes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pstore")
	s := open(t, path, Sizes{Records: 2, Record: 4096, Console: 4096, Crash: 4096})
	s.Dump("one", []byte("text\n"))
	s.Dump("two", []byte("text\n"))
	s.Close()
	s = open(t, path, Sizes{Records: 1, Record: 4096, Console: 8192, Crash: 4096})
	s.Console([]byte("line\n"))
	z := zones(t, path)
	if z[0].Kind != ramoops.Dump || !strings.HasPrefix(z[0].Text, "one") {
		t.Errorf("%+v", z[0])
	}
	if z[1].Kind != ramoops.Text || z[1].Text != "line\n" {
		t.Errorf("%+v", z[1])
	}
	none := filepath.Join(t.TempDir(), "none")
	for _, bad := range []Sizes{{Record: math.MaxInt}, {Records: math.MaxInt}, {Records: 1 << 20, Record: 4096}, {Console: 1 << 30, Crash: 1 << 30}} {
		if s, err := Open(none, bad); err == nil || s != nil {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("a file was made for it")
	}
}

// The record of a writer that died is torn.
func TestTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pstore")
	s := open(t, path, Sizes{Records: 1, Record: 4096, Console: 4096, Crash: 4096})
	s.Dump("reason", []byte("text"))
	s.dumps[0].word(ramoops.OffSize).Store(0)
	s.Console([]byte("one\n"))
	s.Console([]byte("two\n"))
	s.Console([]byte("three\n"))
	s.console.data()[5] = 0
	z := zones(t, path)
	if z[0].Kind != ramoops.Dump || !z[0].Torn {
		t.Errorf("%+v", z[0])
	}
	if z[1].Text != "one\nthree\n" || !z[1].Torn {
		t.Errorf("%+v", z[1])
	}
}

func TestWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pstore")
	s := open(t, path, Sizes{Records: 2, Record: 64 << 10, Console: 4096, Crash: 4096})
	w := watch{seen: map[*registry.Heartbeat]beat{}}
	h := meminspect.NewHeartbeat("queue", time.Second)
	defer h.Stop()
	now := time.Now()
	for _, step := range []struct {
		after time.Duration
		beat  bool
		want  int
	}{{0, false, 0}, {900 * time.Millisecond, false, 0}, {200 * time.Millisecond, false, 1}, {time.Second, false, 0}, {0, true, 0}, {1100 * time.Millisecond, false, 1}} {
		if step.beat {
			h.Beat()
		}
		now = now.Add(step.after)
		if got := w.look(now); len(got) != step.want {
			t.Errorf("after %v: %q", step.after, got)
		}
	}
	quick := meminspect.NewHeartbeat("quick", time.Millisecond)
	defer quick.Stop()
	stop := s.Watch(2 * time.Millisecond)
	// The runtime's module has no package to await events with.
	for deadline := time.Now().Add(time.Minute); zones(t, path)[0].Kind != ramoops.Dump; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no record of a missed heartbeat")
		}
	}
	stop()
	if z := zones(t, path)[0]; !strings.HasPrefix(z.Text, "heartbeat quick missed: ") || !strings.Contains(z.Text, "goroutine ") {
		t.Errorf("%.200q", z.Text)
	}
}

// The Go runtime's report reaches the file without running Go code, and the
// next run finds it.
func TestCrash(t *testing.T) {
	if p := os.Getenv("PSTORE_CRASH"); p != "" {
		s, err := Open(p, Sizes{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Crash(); err != nil {
			t.Fatal(err)
		}
		done := make(chan bool)
		go func() { panic("the last words") }()
		<-done
	}
	path := filepath.Join(t.TempDir(), "pstore")
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), "PSTORE_CRASH="+path)
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Fatalf("it lived: %s", out)
	}
	z := zones(t, path)
	if last := z[len(z)-1]; last.Kind != ramoops.Crash || !strings.Contains(last.Text, "panic: the last words") || !strings.Contains(last.Text, "goroutine ") {
		t.Errorf("%+v", last)
	}
	s := open(t, path, Sizes{})
	last, err := s.Crash()
	if err != nil || !strings.Contains(last, "the last words") {
		t.Errorf("%q, %v", last, err)
	}
	if z := zones(t, path); z[len(z)-1].Kind != ramoops.Empty {
		t.Errorf("%+v", z[len(z)-1])
	}
}

// A full disk is an error of Open and of nothing else.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small tmpfs cannot be mounted here: %v: %s", err, out)
	}
	defer func() {
		if err := exec.Command("umount", dir).Run(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := Open(filepath.Join(dir, "pstore"), Sizes{}); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("%v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "pstore")); err == nil && info.Size() != 0 {
		t.Errorf("%d bytes of a store are left", info.Size())
	}
	os.Remove(filepath.Join(dir, "pstore"))
	s, err := Open(filepath.Join(dir, "pstore"), Sizes{Records: 1, Record: 4096, Console: 32 << 10, Crash: 4096})
	if err != nil {
		t.Fatal(err)
	}
	// Fill the rest of the disk; every page of the store can still be written.
	filler, _ := os.Create(filepath.Join(dir, "filler"))
	for {
		if _, err := filler.Write(make([]byte, 4096)); err != nil {
			break
		}
	}
	filler.Close()
	for range 100 {
		s.Console([]byte(strings.Repeat("x", 1000) + "\n"))
	}
	s.Dump("full", make([]byte, 4096))
	s.Close()
}
