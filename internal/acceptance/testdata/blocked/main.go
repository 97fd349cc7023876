// Command blocked has a goroutine for each way to wait. Each of them runs another
// function.
package main

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type worker struct{ mu sync.Mutex }

type queue struct {
	Mu     sync.Mutex
	RW     sync.RWMutex
	Writer sync.RWMutex
	Group  sync.WaitGroup
	Cond   *sync.Cond
	Jobs   chan int
	Done   chan string
	ByName map[string]*worker
}

var state = queue{Jobs: make(chan int, 2), Done: make(chan string), ByName: map[string]*worker{"ada": {}, "bob": {}}}

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "blocked",
	Namespace: "blocked",
	Entries:   []meminspectimpl.Entry{{ID: 1<<63 | 1, Name: "state", Expr: "state", Var: &state}},
}

func init() { meminspectimpl.Link(&table) }

// private leads to no annotated variable.
var private = make(chan bool)

func lock()      { state.Mu.Lock() }
func readLock()  { state.RW.RLock() }
func writeLock() { state.Writer.Lock() }
func lockOther() { state.ByName["ada"].mu.Lock() }
func wait()      { state.Group.Wait() }
func cond()      { state.Cond.L.Lock(); state.Cond.Wait() }
func send()      { state.Jobs <- 3 }
func receive()   { fmt.Println(<-state.Done) }
func hidden()    { <-private }
func sleep()     { time.Sleep(time.Hour) }
func forever()   { select {} }
func never()     { var none chan int; <-none }

func choose() {
	select {
	case state.Jobs <- 4:
	case s := <-state.Done:
		fmt.Println(s)
	}
}

// hold has the lock for which enter waits, and a pointer to its worker.
func (w *worker) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	time.Sleep(time.Hour)
}

// compete lets one goroutine have the lock and another wait for it.
//
//go:noinline
func (w *worker) compete() {
	go w.hold()
	for w.mu.TryLock() {
		w.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	go w.enter()
}

func (w *worker) enter() { w.mu.Lock() }

func accept(l net.Listener) { _, _ = l.Accept() }

func main() {
	state.Jobs <- 1
	state.Jobs <- 2
	state.Mu.Lock()
	state.RW.Lock()
	state.Writer.RLock()
	state.ByName["ada"].mu.Lock()
	state.Group.Add(1)
	state.Cond = sync.NewCond(new(sync.Mutex))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	for _, f := range []func(){lock, lock, readLock, writeLock, lockOther, wait, cond, send, receive, hidden, sleep, forever, never, choose} {
		go f()
	}
	go accept(l)
	state.ByName["bob"].compete()
	ready()
	time.Sleep(time.Hour)
}

// ready reports that the goroutines have been started: in the file that the argument
// names the process ID, and a line.
func ready() {
	if len(os.Args) > 1 {
		if err := os.WriteFile(os.Args[1], []byte(fmt.Sprint(os.Getpid())), 0o600); err != nil {
			panic(err)
		}
	}
	fmt.Println("ready")
}
