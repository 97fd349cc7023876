//go:build linux

package process_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
)

// The test binary also acts as the target processes.
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

// words are in the target; it changes the last one to 5.
var words = [4]uint64{0x1111111111111111, 0x2222222222222222, 3, 4}

// playTarget writes where its memory is, then keeps threads busy, counting, and
// answers each line of its input with its count.
func playTarget() {
	words[3] = 5
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
	// Unmap the middle of a mapping.
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
	if _, err := process.Stop(context.Background(), p, process.StopOptions{}); err != nil {
		panic(err)
	}
	fmt.Println("stopped")
	time.Sleep(time.Hour) // until the test kills it
}

// A child is a running target.
type child struct {
	*process.Process
	cmd         *exec.Cmd
	in          interface{ Write([]byte) (int, error) }
	out         *bufio.Scanner
	words, hole memory.Address
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
		t.Fatal("the target printed nothing")
	}
	var w, h uint64
	if _, err := fmt.Sscan(c.out.Text(), &w, &h); err != nil {
		t.Fatal(err)
	}
	c.words, c.hole = memory.Address(w), memory.Address(h)
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
	if v, err := (memory.Reader{Memory: mem}).Uint64(c.words); err != nil || v != words[0] {
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
	var bad *memory.UnreadableError
	if n != 4096-100 || !errors.As(err, &bad) || bad.Addr != c.hole+3*4096 {
		t.Errorf("into a hole: %d bytes, %v", n, err)
	}
	if n, err := mem.ReadAt(more, ^memory.Address(0)-100); n != 0 || err == nil {
		t.Errorf("at the end of the address space: %d bytes, %v", n, err)
	}
}

// A batch over pages that cannot be read gives what ReadAt gives.
func TestReadBatch(t *testing.T) {
	c := start(t, 0)
	var pieces []memory.Piece
	for i := range 3000 {
		at := c.hole + memory.Address(i*7919%(6*4096))
		pieces = append(pieces, memory.Piece{Addr: at, Data: make([]byte, i%4097)})
	}
	pieces = append(pieces, memory.Piece{Addr: ^memory.Address(0) - 4, Data: make([]byte, 4)},
		memory.Piece{Addr: c.words, Data: make([]byte, 8)})
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
	if err != nil || stat.Parent != os.Getpid() || stat.Start == 0 || stat.Exiting {
		t.Errorf("stat %+v, %v", stat, err)
	}
	if err := unix.Kill(c.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// Dead, and its parent has not waited for it.
	if err := unix.Waitid(unix.P_PID, c.PID, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if stat, err := c.Stat(); err != nil || !stat.Exiting || !stat.Dead() {
		t.Errorf("stat of a dead process %+v, %v", stat, err)
	}
}

func TestOpenNothing(t *testing.T) {
	if _, err := process.Open(1 << 22); !errors.Is(err, process.ErrGone) {
		t.Errorf("opening nothing gives %v", err)
	}
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

// What two threads read of a process is what one reads, whatever the sizes of the
// pieces are and whether some can only be read
// another way.
func TestReadBatchShared(t *testing.T) {
	const size = 4 << 20
	data, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(data)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(i>>12 + i)
	}
	hole := random.IntN(size/4096) * 4096
	if err := unix.Mprotect(data[hole:hole+4096], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	p, err := process.Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	start := memory.Address(uintptr(unsafe.Pointer(&data[0])))
	for round := range 50 {
		var shared, alone []memory.Piece
		for range random.IntN(40) {
			at := random.IntN(size)
			n := random.IntN(size - at)
			shared = append(shared, memory.Piece{Addr: start.Add(uint64(at)), Data: make([]byte, n)})
			alone = append(alone, memory.Piece{Addr: start.Add(uint64(at)), Data: make([]byte, n)})
		}
		if err := p.Memory().ReadBatch(shared); err != nil {
			t.Fatal(err)
		}
		for i := range shared {
			alone[i].N, _ = p.Memory().ReadAt(alone[i].Data, alone[i].Addr)
			if shared[i].N != alone[i].N || !bytes.Equal(shared[i].Data, alone[i].Data) {
				t.Fatalf("round %d, piece %d of %d: %d bytes, %d by one thread", round, i, len(shared), shared[i].N, alone[i].N)
			}
		}
	}
}
