// Command wedged hangs in the way that its argument names, with annotated
// values in memory.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	_ "github.com/meminspect/meminspect/internal/acceptance/testdata/wedged/first"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type order struct {
	Customer string
	Items    []string
	Total    int64
}

var (
	orders = map[string]*order{}
	serial = int64(4)
	secret = []byte("initial password")
	plain  = int64(77)
	jobs   = make(chan int, 2)
	done   = make(chan *order)
)

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "github.com/meminspect/meminspect/internal/acceptance/testdata/wedged",
	Namespace: "wedged",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "orders", Expr: "orders", Var: &orders, Pos: "main.go:27"},
		{ID: 1<<63 | 2, Name: "serial", Expr: "serial", Var: &serial, Pos: "main.go:28"},
	},
}

func init() { meminspectimpl.Link(&table) }

func main() {
	for i := range 3 {
		orders[fmt.Sprint("order", i)] = &order{fmt.Sprint("customer ", i), []string{"tea", "cake"}, int64(100 * i)}
	}
	serial = 41
	secret = []byte("hunter2hunter2")
	plain = 78
	runtime.KeepAlive(secret)
	// Yama lets a process read its own children only: allow every one.
	const prSetPtracer, any = 0x59616d61, ^uintptr(0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetPtracer, any, 0)
	switch os.Args[1] {
	case "sleep":
		writePID()
		ready()
		time.Sleep(time.Hour)
	case "channels":
		jobs <- 1
		jobs <- 2
		go func() { jobs <- 3 }()
		go func() { <-done }()
		go func() { <-done }()
		writePID()
		time.Sleep(time.Hour)
	case "deadlock":
		// A watched signal keeps the runtime from seeing it.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
		var a, b sync.Mutex
		a.Lock()
		b.Lock()
		go func() { a.Lock(); b.Unlock() }()
		ready()
		b.Lock()
		a.Unlock()
	case "loop":
		// A loop that cannot be preempted, while the collector waits for it.
		runtime.GOMAXPROCS(2)
		go func() {
			time.Sleep(50 * time.Millisecond)
			go runtime.GC()
			time.Sleep(50 * time.Millisecond)
		}()
		go func() {
			time.Sleep(100 * time.Millisecond)
			ready()
		}()
		tight()
	case "descriptors":
		// The runtime makes the network poller's descriptors at their first use.
		if r, _, err := os.Pipe(); err == nil {
			go r.Read(make([]byte, 1))
		}
		time.Sleep(10 * time.Millisecond)
		var limit syscall.Rlimit
		_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
		limit.Cur = 64
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
		for {
			if _, err := syscall.Dup(1); err != nil {
				break
			}
		}
		ready()
		time.Sleep(time.Hour)
	case "busy":
		busy()
	case "c":
		spinInC()
	}
}

func ready() { os.Stdout.WriteString("ready\n") }

//go:noinline
func tight() {
	for {
		plain++
	}
}

// busy changes everything all the time.
func busy() {
	var mu sync.Mutex
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				mu.Lock()
				key := fmt.Sprint("order", i%50)
				if i%3 == 2 {
					delete(orders, key)
				} else {
					orders[key] = &order{fmt.Sprint("customer ", w), make([]string, i%7), int64(i)}
				}
				serial++
				mu.Unlock()
				if i%100 == 0 {
					done := make(chan bool)
					go func() { done <- true }()
					<-done
				}
			}
		}()
	}
	ready()
	time.Sleep(time.Hour)
}

// writePID writes the process ID into the file that the second argument names.
func writePID() {
	if len(os.Args) <= 2 {
		return
	}
	if err := os.WriteFile(os.Args[2], []byte(fmt.Sprint(os.Getpid())), 0o600); err != nil {
		panic(err)
	}
}
