// Command states has a goroutine in every state that one can be in, prints
// "ready" and stays so. It is built by old Go releases too: standard library
// alone, Go 1.21.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

type server[T any] struct {
	mu    sync.Mutex
	rw    sync.RWMutex
	cond  *sync.Cond
	group sync.WaitGroup
	in    chan T
	out   chan T
	none  chan T
}

func (s *server[T]) receive() { <-s.in }
func (s *server[T]) send(v T) { s.out <- v }
func (s *server[T]) lock()    { s.mu.Lock() }
func (s *server[T]) read()    { s.rw.RLock() }
func (s *server[T]) wait()    { s.cond.L.Lock(); s.cond.Wait() }
func (s *server[T]) either(ch chan T) {
	select {
	case <-s.in:
	case <-ch:
	case s.out <- *new(T):
	}
}

// deep makes a stack that has grown, with frames of many sizes.
//
//go:noinline
func deep(n int, block func()) int {
	var room [64]int
	room[n%64] = n
	if n == 0 {
		block()
		return room[0]
	}
	return deep(n-1, block) + room[n%64]
}

//go:noinline
func spin() {
	for i := 0; ; i++ {
		sink += i
	}
}

var sink int

func recovered() {
	defer func() {
		recover()
		select {}
	}()
	var p *int
	*p = 1
}

func main() {
	s := &server[string]{in: make(chan string), out: make(chan string), none: nil}
	s.cond = sync.NewCond(new(sync.Mutex))
	s.group.Add(1)
	s.mu.Lock()
	s.rw.Lock()
	go s.receive()
	go s.lock()
	go s.read()
	go s.wait()
	go s.group.Wait()
	go s.either(make(chan string))
	go func() { s.none <- "never" }()
	go (&server[[9]int]{out: make(chan [9]int)}).send([9]int{1})
	go func() { select {} }()
	go func() { time.Sleep(time.Hour) }()
	go func() { <-time.After(time.Hour) }()
	go deep(200, func() { <-s.in })
	go recovered()
	go func() {
		runtime.LockOSThread()
		<-s.in
	}()
	r, _, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	go r.Read(make([]byte, 1)) // waits in the network poller
	var fds [2]int
	if err := syscall.Pipe(fds[:]); err != nil {
		panic(err)
	}
	go deep(3, func() { syscall.Read(fds[0], make([]byte, 1)) }) // holds a thread
	if len(os.Args) > 1 {
		n, _ := strconv.Atoi(os.Args[1])
		for range make([]struct{}, n) {
			go s.receive()
		}
	}
	goC()
	go spin()
	time.Sleep(200 * time.Millisecond)
	fmt.Println("ready")
	time.Sleep(time.Hour)
}
