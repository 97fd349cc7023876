//go:build linux && amd64

package capture

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/meminspect/meminspect/capture/internal/locate"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// victim starts a sleeping program with annotated values.
func victim(tb testing.TB) int {
	tb.Helper()
	pid, _ := running(tb, "wedged", "sleep")
	return pid
}

// running builds and starts one of the acceptance tests' programs.
func running(tb testing.TB, name string, args ...string) (pid int, exe string) {
	tb.Helper()
	return runningBuilt(tb, nil, name, args...)
}

// runningBuilt is running with flags for go build.
func runningBuilt(tb testing.TB, flags []string, name string, args ...string) (pid int, exe string) {
	tb.Helper()
	exe = filepath.Join(tb.TempDir(), name)
	cmd := exec.Command("go", append(append([]string{"build", "-o", exe}, flags...), "../internal/acceptance/testdata/"+name)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	p := exec.Command(exe, args...)
	out, err := p.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := p.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		tb.Fatal(err)
	}
	return p.Process.Pid, exe
}

// A seen is a process whose memory is read through a wrapper.
type seen struct {
	*locate.Live
	mem memory.Memory
}

func (s *seen) Memory() memory.Memory { return s.mem }

// captureThrough captures a process and reads its memory through wrap.
func captureThrough(ctx context.Context, pid int, opts Options, wrap func(memory.Memory) memory.Memory) (*Core, error) {
	live, err := locate.Open(pid)
	if err != nil {
		return nil, err
	}
	defer live.Close()
	return captureLive(ctx, &seen{live, wrap(live.Memory())}, live.Process, opts)
}

// A liar is memory with some wrong words.
type liar struct {
	memory.Memory
	seed uint64
	rate uint64 // one word in rate is wrong
}

func mix(x uint64) uint64 {
	x ^= x >> 31
	x *= 0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	return x ^ x>>32
}

func (l *liar) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := l.Memory.ReadAt(p, addr)
	for i := 0; i < n; {
		at := addr.Add(uint64(i))
		word := uint64(at) &^ 7
		end := min(n, i+8-int(uint64(at)-word))
		if h := mix(word ^ l.seed); h%l.rate == 0 {
			lie := l.lie(h, word)
			for ; i < end; i++ {
				p[i] = byte(lie >> (8 * (uint64(addr) + uint64(i) - word)))
			}
		}
		i = end
	}
	return n, err
}

// lie returns the wrong value of a word: a pointer back into the program's
// data, to itself, an impossible length, or noise.
func (l *liar) lie(h, word uint64) uint64 {
	switch h >> 32 % 6 {
	case 0:
		return word
	case 1:
		return word - 8*(h>>40%1024)
	case 2:
		return ^uint64(0) >> (h >> 40 % 64)
	case 3:
		return 0x400000 + h>>40%(4<<20)
	case 4:
		return 0
	}
	return mix(h)
}

// Wrong memory gives an error or a core, in bounded time and memory, and never
// a panic.
func FuzzLyingMemory(f *testing.F) {
	pid := victim(f)
	for seed := range uint64(12) {
		f.Add(seed, uint64(10)<<(seed%12))
	}
	f.Fuzz(func(t *testing.T, seed, rate uint64) {
		if rate == 0 {
			rate = 1
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		c, err := captureThrough(context.Background(), pid, Options{Mode: Mode(seed % 3), Depth: 20, Stop: StopNever},
			func(m memory.Memory) memory.Memory { return &liar{m, seed, rate} })
		runtime.ReadMemStats(&after)
		if d := time.Since(began); d > time.Minute {
			t.Errorf("it took %v", d)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<30 {
			t.Errorf("it allocated %d bytes", n)
		}
		if err != nil {
			if c != nil {
				t.Error("a core with an error")
			}
			return
		}
		var b bytes.Buffer
		if _, err := c.WriteTo(&b); err != nil {
			if errors.Is(err, elfcore.ErrTooManySegments) {
				return
			}
			t.Fatal(err)
		}
		file, err := elfcore.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil || file.Missing() != 0 {
			t.Errorf("not a core: %v", err)
		}
	})
}

// A capture whose context ends leaves the program running.
func TestCancelled(t *testing.T) {
	pid := victim(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Capture(ctx, pid, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled capture gives %v", err)
	}
	if _, err := Capture(t.Context(), pid, Options{}); err != nil {
		t.Error(err)
	}
}
