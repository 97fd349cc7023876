//go:build linux

package process_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/target"
	"github.com/meminspect/meminspect/target/process"
)

// The test binary plays the targets itself.
func TestMain(m *testing.M) {
	switch os.Getenv("PROCESS_TEST_ROLE") {
	case "target":
		playTarget()
	case "collector":
		playCollector()
	default:
		os.Exit(m.Run())
	}
}

var words = [4]uint64{0x1111111111111111, 0x2222222222222222, 3, 4}

// playTarget says where its memory is, then keeps threads busy, counting, and
// answers each line of its input with its count.
func playTarget() {
	hole, err := unix.Mmap(-1, 0, 8*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	for i := range hole {
		hole[i] = byte(i / 4096)
	}
	if err := unix.Mprotect(hole[4096:2*4096], unix.PROT_NONE); err != nil {
		panic(err)
	}
	// The kernel frees the middle of a mapping.
	_, _, errno := unix.Syscall(unix.SYS_MUNMAP, uintptr(unsafe.Pointer(&hole[3*4096])), 4096, 0)
	if errno != 0 {
		panic(errno)
	}
	threads, _ := strconv.Atoi(os.Getenv("PROCESS_TEST_THREADS"))
	var started sync.WaitGroup
	for range threads {
		started.Add(1)
		go func() {
			runtime.LockOSThread()
			started.Done()
			select {}
		}()
	}
	started.Wait()
	urgent := make(chan os.Signal, 64)
	signal.Notify(urgent, syscall.SIGUSR1)
	fmt.Printf("%d %d\n", uintptr(unsafe.Pointer(&words)), uintptr(unsafe.Pointer(&hole[0])))
	signals := 0
	in := make(chan string)
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			in <- lines.Text()
		}
		os.Exit(0)
	}()
	for {
		select {
		case <-urgent:
			signals++
		case <-in:
			fmt.Println(signals)
		}
	}
}

// playCollector stops a process and waits to be killed.
func playCollector() {
	pid, _ := strconv.Atoi(os.Getenv("PROCESS_TEST_PID"))
	p, err := process.Open(pid)
	if err != nil {
		panic(err)
	}
	if _, err := process.NewTracer().Stop(context.Background(), p, process.StopOptions{}); err != nil {
		panic(err)
	}
	fmt.Println("stopped")
	time.Sleep(time.Hour)
}

// A child is a running target.
type child struct {
	*process.Process
	cmd         *exec.Cmd
	in          interface{ Write([]byte) (int, error) }
	out         *bufio.Scanner
	words, hole target.Address
}

func start(t *testing.T, threads int) *child {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "PROCESS_TEST_ROLE=target", fmt.Sprint("PROCESS_TEST_THREADS=", threads))
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c := &child{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	if !c.out.Scan() {
		t.Fatal("the target said nothing")
	}
	var w, h uint64
	fmt.Sscan(c.out.Text(), &w, &h)
	c.words, c.hole = target.Address(w), target.Address(h)
	p, err := process.Open(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	c.Process = p
	return c
}

// ask makes the target answer, which it can only when it runs.
func (c *child) ask(t *testing.T) string {
	t.Helper()
	if _, err := c.in.Write([]byte("count\n")); err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() { c.out.Scan(); answer <- c.out.Text() }()
	select {
	case s := <-answer:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("the target does not answer: it is stopped or dead")
		return ""
	}
}

func (c *child) state(t *testing.T) string {
	t.Helper()
	ids, err := c.ThreadIDs()
	if err != nil {
		t.Fatal(err)
	}
	states := map[byte]bool{}
	for _, id := range ids {
		if s, err := c.ThreadStat(id); err == nil {
			states[s.State] = true
		}
	}
	var all []string
	for s := range states {
		all = append(all, string(s))
	}
	return strings.Join(all, "")
}

func TestMemory(t *testing.T) {
	c := start(t, 0)
	mem := c.Memory()
	if v, err := (target.Reader{Memory: mem}).Uint64(c.words); err != nil || v != words[0] {
		t.Errorf("a word of the target is %x, %v", v, err)
	}
	page := make([]byte, 3*4096)
	// The second page has no read permission: the file reads it all the same.
	n, err := mem.ReadAt(page, c.hole)
	if n != len(page) || err != nil || page[4096] != 1 || page[2*4096] != 2 {
		t.Errorf("over a page without permission: %d bytes, %v", n, err)
	}
	// The fourth is not mapped.
	more := make([]byte, 3*4096)
	n, err = mem.ReadAt(more, c.hole+2*4096+100)
	var bad *target.UnreadableError
	if n != 4096-100 || !errors.As(err, &bad) || bad.Addr != c.hole+3*4096 {
		t.Errorf("into a hole: %d bytes, %v", n, err)
	}
	if n, err := mem.ReadAt(more, ^target.Address(0)-100); n != 0 || err == nil {
		t.Errorf("at the end of the address space: %d bytes, %v", n, err)
	}
}

// A batch over pages that cannot be read gives what ReadAt gives.
func TestReadBatch(t *testing.T) {
	c := start(t, 0)
	var pieces []target.Piece
	for i := range 3000 {
		at := c.hole + target.Address(i*7919%(6*4096))
		pieces = append(pieces, target.Piece{Addr: at, Data: make([]byte, i%4097)})
	}
	pieces = append(pieces, target.Piece{Addr: ^target.Address(0) - 4, Data: make([]byte, 4)},
		target.Piece{Addr: c.words, Data: make([]byte, 8)})
	if err := c.Memory().ReadBatch(pieces); err != nil {
		t.Fatal(err)
	}
	for i, p := range pieces {
		one := make([]byte, len(p.Data))
		n, _ := c.Memory().ReadAt(one, p.Addr)
		if n != p.N || string(one[:n]) != string(p.Data[:p.N]) {
			t.Fatalf("piece %d of %d bytes at %v: %d bytes in a batch, %d alone", i, len(p.Data), p.Addr, p.N, n)
		}
	}
}

func TestMapsAndThreads(t *testing.T) {
	c := start(t, 3)
	maps, err := c.Maps()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := c.ExeName()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for i, m := range maps {
		if i > 0 && m.Start < maps[i-1].End {
			t.Errorf("mapping %v is out of order", m)
		}
		found = found || m.Path == exe && m.Write && m.Contains(c.words)
	}
	if !found {
		t.Errorf("no writable mapping of %s holds %v", exe, c.words)
	}
	ids, err := c.ThreadIDs()
	if err != nil || len(ids) < 4 || ids[0] != c.PID {
		t.Errorf("threads %v, %v", ids, err)
	}
	stat, err := c.Stat()
	if err != nil || stat.Parent != os.Getpid() || stat.Start == 0 {
		t.Errorf("stat %+v, %v", stat, err)
	}
}

func TestOpenNothing(t *testing.T) {
	if _, err := process.Open(1 << 22); !errors.Is(err, process.ErrGone) {
		t.Errorf("opening nothing gives %v", err)
	}
}

// Every thread is stopped with registers that lie in its mappings, and all run
// on afterwards.
func TestStop(t *testing.T) {
	c := start(t, 20)
	tracer := process.NewTracer()
	defer tracer.Close()
	for range 20 {
		s, err := tracer.Stop(context.Background(), c.Process, process.StopOptions{FloatingPoint: true, Extended: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.state(t); got != "t" {
			t.Errorf("threads are in states %s while they are stopped", got)
		}
		if len(s.Threads) < 21 || len(s.Missed) > 0 {
			t.Errorf("%d threads stopped, missed %v", len(s.Threads), s.Missed)
		}
		maps, _ := c.Maps()
		for _, th := range s.Threads {
			pcIn, spIn := false, false
			for _, m := range maps {
				pcIn = pcIn || m.Exec && m.Contains(target.Address(th.PC()))
				spIn = spIn || m.Write && m.Contains(target.Address(th.SP()))
			}
			if !pcIn || !spIn || th.TLS == 0 || len(th.Float) == 0 {
				t.Errorf("thread %d: pc %#x sp %#x tls %#x, %d bytes of floating point",
					th.ID, th.PC(), th.SP(), th.TLS, len(th.Float))
			}
		}
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		c.ask(t)
	}
}

// A signal that comes while a thread is stopped, or that stopped it, is not lost.
func TestStopKeepsSignals(t *testing.T) {
	c := start(t, 4)
	tracer := process.NewTracer()
	defer tracer.Close()
	for round := 1; round <= 40; round++ {
		_ = syscall.Kill(c.PID, syscall.SIGUSR1)
		s, err := tracer.Stop(context.Background(), c.Process, process.StopOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.Resume()
		// Such signals do not queue: wait for each.
		got := ""
		for end := time.Now().Add(10 * time.Second); got != strconv.Itoa(round) && time.Now().Before(end); {
			got = c.ask(t)
		}
		if got != strconv.Itoa(round) {
			t.Fatalf("%s of %d signals arrived", got, round)
		}
	}
}

// What SIGSTOP has stopped stays stopped, until SIGCONT.
func TestStopOfStopped(t *testing.T) {
	c := start(t, 2)
	_ = syscall.Kill(c.PID, syscall.SIGSTOP)
	waitState(t, c, "T")
	tracer := process.NewTracer()
	defer tracer.Close()
	s, err := tracer.Stop(context.Background(), c.Process, process.StopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Missed) > 0 {
		t.Errorf("missed %v", s.Missed)
	}
	s.Resume()
	time.Sleep(20 * time.Millisecond)
	waitState(t, c, "T")
	_ = syscall.Kill(c.PID, syscall.SIGCONT)
	c.ask(t)
}

func waitState(t *testing.T, c *child, want string) {
	t.Helper()
	got := ""
	for range 500 {
		if got = c.state(t); got == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("threads are in states %s, not %s", got, want)
}

// A collector that is killed in the middle leaves its target running.
func TestCollectorKilled(t *testing.T) {
	c := start(t, 4)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "PROCESS_TEST_ROLE=collector", fmt.Sprint("PROCESS_TEST_PID=", c.PID))
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if lines := bufio.NewScanner(out); !lines.Scan() {
		t.Fatal("the collector did not stop its target")
	}
	waitState(t, c, "t")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	c.ask(t)
	if got := c.state(t); strings.ContainsAny(got, "tT") {
		t.Errorf("threads are in states %s after the collector was killed", got)
	}
}

// A second tracer is told why it cannot.
func TestStopTwice(t *testing.T) {
	c := start(t, 0)
	one, two := process.NewTracer(), process.NewTracer()
	defer one.Close()
	defer two.Close()
	s, err := one.Stop(context.Background(), c.Process, process.StopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Stop(context.Background(), c.Process, process.StopOptions{}); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a second tracer gets %v", err)
	}
	s.Resume()
	c.ask(t)
}

// A thread that the tracer has seized before is stopped with the others, and is
// still the tracer's afterwards.
func TestStopSeized(t *testing.T) {
	c := start(t, 3)
	tracer := process.NewTracer()
	defer tracer.Close()
	err := errors.New("not run")
	_ = tracer.Do(func() {
		_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(c.PID), 0, unix.PTRACE_O_TRACEEXIT, 0, 0)
		err = nil
		if errno != 0 {
			err = errno
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		s, err := tracer.Stop(context.Background(), c.Process, process.StopOptions{Seized: []int{c.PID}})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Threads) < 4 || len(s.Missed) > 0 {
			t.Errorf("%d threads stopped, missed %v", len(s.Threads), s.Missed)
		}
		s.Resume()
		c.ask(t)
	}
	// Killed, it stops at its exit, where it is held while it is captured.
	_ = syscall.Kill(c.PID, syscall.SIGKILL)
	_ = tracer.Do(func() {
		for {
			var status unix.WaitStatus
			_, err = unix.Wait4(c.PID, &status, unix.WALL, nil)
			if err != nil || int(status)>>16 == unix.PTRACE_EVENT_EXIT {
				return
			}
			_, _, _ = unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_CONT, uintptr(c.PID), 0, 0, 0, 0)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := tracer.Stop(context.Background(), c.Process, process.StopOptions{Held: []int{c.PID}})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Threads) != 1 || s.Threads[0].SP() == 0 {
		t.Errorf("of a process at its end, threads %+v", s.Threads)
	}
	if v, err := (target.Reader{Memory: c.Memory()}).Uint64(c.words); err != nil || v != words[0] {
		t.Errorf("a word of it is %x, %v", v, err)
	}
	s.Resume()
}

func TestParseMapsBad(t *testing.T) {
	for _, line := range []string{"x", "1-0 r--p 0 0:0 0", "10-20 r--p 0 0:0", "-20 rw-p 0 0:0 0", "10-20 r- 0 0:0 0"} {
		if maps, err := process.ParseMaps([]byte(line + "\n")); err == nil || maps != nil {
			t.Errorf("%q is read as %v", line, maps)
		}
	}
}

// Whatever the text, an error comes without a value, and ranges are not inverted.
func FuzzParseMaps(f *testing.F) {
	f.Add([]byte("00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/a b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		maps, err := process.ParseMaps(text)
		if err != nil && maps != nil {
			t.Fatal("a value with an error")
		}
		for _, m := range maps {
			if m.End < m.Start {
				t.Fatalf("%v", m)
			}
		}
	})
}
