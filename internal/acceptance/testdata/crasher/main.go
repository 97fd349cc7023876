// Crasher is a program that ends, or does not, in the way that its first
// argument names. Its annotated variables have values that a test can distinguish from
// zero and from what is in the executable.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/monitor"
)

type order struct {
	ID    int
	Buyer string
}

var (
	counter  = 7                // annotated
	customer = "nobody yet"     // annotated
	orders   = map[int]*order{} // annotated
	password = "do not show me" // excluded
	sink     []byte
)

type code int

// A typedError is a panic value whose type counts and whose text is private.
type typedError struct{ secret string }

func (e typedError) Error() string { return "typed error with " + e.secret }

var ways = map[string]func(){
	"panic":       func() { panic("it went wrong") },
	"panic-error": func() { panic(fmt.Errorf("order %d: %w", 42, errors.New("no such buyer"))) },
	"panic-typed": func() { panic(typedError{"4111111111111111"}) },
	"panic-long":  panicLong,
	"panic-labels": func() {
		pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("user", "alice@example.com")))
		panic("it went wrong")
	},
	"panic-code":   func() { panic(code(7)) },
	"panic-struct": func() { panic(orders[1]) },
	"panic-goexit": func() { go panic("in a goroutine of its own"); select {} },
	"repanic": func() {
		defer func() { panic(fmt.Sprint("again: ", recover())) }()
		panic("first")
	},
	"nil":          func() { var o *order; o.ID = 1 },
	"throw":        func() { var m sync.Mutex; m.Unlock() },
	"map":          concurrentMapWrites,
	"deadlock":     func() { select {} },
	"stack":        func() { debug.SetMaxStack(8 << 20); recurse(1) },
	"oom":          outOfMemory,
	"sigquit":      func() { suicide(syscall.SIGQUIT) },
	"sigabrt":      func() { suicide(syscall.SIGABRT) },
	"sigsegv":      func() { suicide(syscall.SIGSEGV) },
	"sigkill":      func() { suicide(syscall.SIGKILL) },
	"sigterm":      func() { suicide(syscall.SIGTERM) },
	"exit0":        func() { os.Exit(0) },
	"exit3":        func() { os.Exit(3) },
	"cfault":       cFault,
	"cthreadfault": cThreadFault,

	"-listen":   wait,
	"crash":     func() { panic("it went wrong") },
	"last":      func() { fmt.Println(meminspect.LastEnd()) },
	"notify":    notify,
	"activated": activated,
	"tags":      func() { tags(); panic("it went wrong") },
	"wait":      wait,
	"snapshot":  snapshot,
	"own":       ownCrashOutput,
	"child":     childPanics,
	"drop":      dropPrivileges,
	"signals":   signals,
	"environ":   func() { fmt.Println(os.LookupEnv("MEMINSPECT_CRASH")) },
	"env":       func() { fmt.Println(os.Args[2] + "=" + os.Getenv(os.Args[2])); panic("it went wrong") },
	"telemetry": crashMonitored,
	"orphan":    orphan,
	"hang":      hang,
	"stutter":   stutter,
	"beat":      beat,
	"restless":  restless,
	"work":      work,
	"detour":    detour,
	"again":     again,
	"exec":      func() { panic(syscall.Exec(os.Args[0], append(os.Args[:1:1], os.Args[2:]...), os.Environ())) },
	"become":    func() { panic(syscall.Exec(os.Args[2], os.Args[2:], os.Environ())) },
	"daemon":    daemon,
	"storm":     storm,
	"linger":    func() { time.Sleep(200 * time.Millisecond); os.Exit(4) },
	"obey":      obey,
	"grow":      grow,
	"limit":     limit,
	"leak":      leak,
	"thrash":    thrash,
	"spin":      spin,
	"killgroup": func() { syscall.Kill(0, syscall.SIGKILL) },
}

// At the exit stop, the main thread alone has its registers: the goroutine whose trace tests
// compare stays there.
func init() {
	if len(os.Args) < 2 {
		return
	}
	switch os.Args[1] {
	case "sigkill", "sigterm", "exit3":
		runtime.LockOSThread()
	}
}

func main() {
	if len(os.Args) < 2 || ways[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "crasher: what shall I do?")
		os.Exit(64)
	}
	if tool := os.Getenv("CRASHER_MONITOR"); tool != "" {
		os.Unsetenv("CRASHER_MONITOR") // children have none
		promise, err := monitor.Start(monitor.Options{Path: tool, Dir: os.Getenv("CRASHER_DIR"), Args: strings.Fields(os.Getenv("CRASHER_FLAGS"))})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(65)
		}
		fmt.Println("monitor:", promise)
	}
	if os.Getenv("CRASHER_DUMPABLE") == "0" {
		const setDumpable = 4 // PR_SET_DUMPABLE
		if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0); errno != 0 {
			panic(errno)
		}
	}
	counter, customer, password = 4711, "Ada Lovelace", "hunter2hunter2"
	for i := range 3 {
		orders[i] = &order{ID: i * 100, Buyer: "buyer " + strconv.Itoa(i)}
	}
	ways[os.Args[1]]()
}

// panicLong prints more than a termination message holds, in its panic and in
// a variable that is marked summary.
func panicLong() {
	customer += strings.Repeat(" of Zürich", 1000)
	panic(customer)
}

// tags sets the tags that the arguments name.
func tags() {
	for _, tag := range os.Args[2:] {
		key, value, _ := strings.Cut(tag, "=")
		if err := meminspect.SetTag(key, value); err != nil {
			panic(err)
		}
	}
}

func suicide(sig syscall.Signal) {
	syscall.Kill(os.Getpid(), sig)
	time.Sleep(5 * time.Second)
}

// outOfMemory asks for more than the kernel gives, which takes no time where it
// gives no more at all.
func outOfMemory() {
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}); err != nil {
		panic(err)
	}
	sink = make([]byte, 1<<30)
}

//go:noinline
func recurse(n int) int { return recurse(n+1) + n }

func concurrentMapWrites() {
	// All keys exist: in a map that grows, a write can also fault before it is noticed.
	m := map[int]int{}
	for i := range 16 {
		m[i] = i
	}
	for g := range 4 {
		go func() {
			for i := 0; ; i++ {
				m[i%8+g] = i
			}
		}()
	}
	time.Sleep(5 * time.Second)
}

// wait prints "ready" and waits for a signal.
func wait() {
	fmt.Println("ready", os.Getpid())
	l, err := net.Listen("tcp", "127.0.0.1:0") // no deadlock is ever detected
	if err == nil {
		l.Accept()
	}
}

// obey exits with 4 when it is asked to end.
func obey() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	fmt.Println("ready", os.Getpid())
	<-asked
	os.Exit(4)
}

func snapshot() {
	fmt.Println("taken", meminspect.Snapshot("order lost"))
	counter++
}

func ownCrashOutput() {
	f, err := os.Create(os.Args[2])
	if err != nil {
		panic(err)
	}
	debug.SetCrashOutput(f, debug.CrashOptions{})
	fmt.Println("taken over")
	if len(os.Args) < 4 {
		time.Sleep(300 * time.Millisecond) // for a supervisor to notice
	}
	panic("into a file of my own")
}

// childPanics starts itself as a child that panics, with every descriptor that
// is not closed on exec; its text must land nowhere but on standard error.
func childPanics() {
	cmd := exec.Command(os.Args[0], "panic")
	cmd.Stderr = os.Stderr
	fmt.Println("child:", cmd.Run())
	panic("and now the parent")
}

func dropPrivileges() {
	if err := syscall.Setgid(65534); err != nil {
		panic(err)
	}
	if err := syscall.Setuid(65534); err != nil {
		panic(err)
	}
	panic("as nobody")
}

// signals prints each signal that it gets, until a SIGTERM ends it well.
func signals() {
	ch := make(chan os.Signal, 8)
	signal.Notify(ch)
	fmt.Println("ready", os.Getpid())
	for s := range ch {
		if s == syscall.SIGURG || s == syscall.SIGCHLD {
			continue
		}
		fmt.Println("got", s)
		if s == syscall.SIGTERM {
			os.Exit(5)
		}
	}
}

// orphan leaves a grandchild that its own parent does not wait for.
func orphan() {
	out, err := exec.Command("/bin/sh", "-c", "(sleep 0.2; exit 9) >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		panic(err)
	}
	time.Sleep(time.Second)
	// Dead, and taken by its new parent, it has no entry any more.
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(out))); err == nil {
		fmt.Println("zombie")
	} else {
		fmt.Println("reaped")
	}
}

func grow() {
	var all [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		sink = all[len(all)-1]
		time.Sleep(30 * time.Millisecond)
	}
}

// leaked keeps what leak allocates.
var leaked []*order

// leak grows by small objects, which a global variable keeps.
func leak() {
	for {
		for range 1 << 10 {
			leaked = append(leaked, &order{Buyer: strings.Repeat("x", 1<<10)})
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// limit sets its memory limit to the number of bytes of its argument and grows.
func limit() {
	bytes, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		panic(err)
	}
	debug.SetMemoryLimit(bytes)
	grow()
}

// detour sends its main thread signals and prints how long one takes.
func detour() {
	runtime.LockOSThread()
	const rounds = 20_000
	pid := os.Getpid()
	began := time.Now()
	for range rounds {
		// The runtime's handler takes it, finds no preemption due, and returns.
		if err := tgkill(pid, pid, syscall.SIGURG); err != nil {
			panic(err)
		}
	}
	fmt.Println(time.Since(began) / rounds)
}

func tgkill(pid, tid int, sig syscall.Signal) error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(sig)); errno != 0 {
		return errno
	}
	return nil
}

// thrash reads a file over and over, at first a part that its memory holds, then
// 1 MiB more each time. What no longer fits was in use until then, so the kernel
// counts the time to read it back as a stall. Were the file larger from the
// start, the kernel would take it for a long read that needs no memory.
func thrash() {
	const size, fits = 96 << 20, 32 << 20
	f, err := os.Create(os.Args[2])
	if err != nil {
		panic(err)
	}
	for range size >> 20 { // a hole is not read from the disk
		if _, err := f.Write(bytes.Repeat([]byte{1}, 1<<20)); err != nil {
			panic(err)
		}
	}
	const random = 1 // POSIX_FADV_RANDOM, for one page a read
	if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, random, 0, 0); errno != 0 {
		panic(errno)
	}
	// With lru_gen, of Debian's 6.12, the kernel counts a page that is read back as a stall if a
	// mapping wants it, and hardly ever for a call.
	mapping, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	var b [1]byte
	for end := int64(fits); ; end = max(fits, (end+1<<20)%size) {
		for i := int64(0); i < end; i += 4096 {
			b[0] += mapping[i]
			for range 2 { // the kernel calls a page active that is read twice
				if _, err := f.ReadAt(b[:], i); err != nil {
					panic(err)
				}
			}
		}
	}
}

// spin keeps a processor busy.
func spin() {
	data := make([]byte, 1<<20)
	for i := 0; ; i = (i + 1) % len(data) {
		data[i]++
	}
}

// again runs itself anew, from a thread that is not the main one.
func again() {
	runtime.LockOSThread() // main's, so that the goroutine runs on another
	go syscall.Exec("/proc/self/exe", []string{"crasher", "linger"}, os.Environ())
	time.Sleep(5 * time.Second)
}

// storm does all the time what its argument names, one or several of: start
// threads, fork, fork as os/exec does (vfork), replace the program by itself, exit.
func storm() {
	does := func(what string) bool { return len(os.Args) < 3 || strings.Contains(os.Args[2], what) }
	again := func(f func()) {
		go func() {
			for ; ; time.Sleep(time.Millisecond) {
				f()
			}
		}()
	}
	if does("threads") {
		again(func() {
			ended := make(chan bool)
			go func() {
				runtime.LockOSThread() // never unlocked: the thread ends
				close(ended)
			}()
			<-ended
		})
	}
	if does("forks") {
		again(fork)
	}
	if does("vforks") {
		again(func() { exec.Command("/bin/true").Run() })
	}
	wait := time.Duration(20+time.Now().UnixNano()%50) * time.Millisecond
	switch {
	case does("exits"):
		time.Sleep(wait)
		os.Exit(3)
	case does("execs"):
		time.Sleep(wait)
		runtime.LockOSThread()
		go syscall.Exec(os.Args[0], os.Args, os.Environ())
	}
	select {}
}

// fork makes a copy of the process, which ends at once, and waits for it.
//
//go:norace
func fork() {
	const clone = uintptr(syscall.SIGCHLD)
	pid, _, _ := syscall.RawSyscall6(syscall.SYS_CLONE, clone, 0, 0, 0, 0, 0)
	if pid == 0 {
		syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
	}
	syscall.Wait4(int(pid), nil, 0, nil)
}

// daemon starts a process that outlives this one, and prints its number.
func daemon() {
	cmd := exec.Command(os.Args[0], "wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = out.Read(make([]byte, 1)) // it is ready
	}
	fmt.Println(cmd.Process.Pid, err)
}

// work allocates on all processors, so that the collector of garbage stops the
// world some thousand times, and prints how long it took.
func work() {
	began := time.Now()
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1) // not wg.Go: older toolchains build this too
		go func() {
			defer wg.Done()
			var keep [64][]byte
			for i := range 100_000 {
				keep[i%len(keep)] = make([]byte, 4096)
			}
			runtime.KeepAlive(&keep)
		}()
	}
	wg.Wait()
	fmt.Println(time.Since(began))
}
