// Command waiting has goroutines that wait in many ways.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"
)

var (
	mutex sync.Mutex
	rw    sync.RWMutex
	group sync.WaitGroup
	cond  = sync.NewCond(new(sync.Mutex))
)

type object struct{ b [64]byte }

func main() {
	debug.SetGCPercent(-1)
	mutex.Lock()
	rw.Lock()
	group.Add(1)
	go func() { var c chan int; <-c }()
	go func() { var c chan int; c <- 1 }()
	go func() { c := make(chan int); <-c }()
	go func() { c := make(chan int); c <- 1 }()
	go func() { select {} }()
	go func() {
		select {
		case <-make(chan int):
		case <-make(chan bool):
		}
	}()
	go func() {
		reflect.Select([]reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(make(chan int))}})
	}()
	go mutex.Lock()
	go rw.Lock()
	go rw.RLock()
	go group.Wait()
	go func() { cond.L.Lock(); cond.Wait() }()
	go time.Sleep(time.Hour)
	go func() { runtime.LockOSThread(); <-make(chan int) }()
	go func() { runtime.LockOSThread(); time.Sleep(time.Hour) }()
	go func() { runtime.LockOSThread(); read() }()
	go read()
	go func() { r, w, _ := os.Pipe(); r.Read(make([]byte, 1)); w.Close() }()
	go func() { l, _ := net.Listen("tcp", "127.0.0.1:0"); l.Accept() }()
	go pprof.Do(context.Background(), pprof.Labels("user", "ada \"l\"\n", "queue", "mail/in.1"), func(context.Context) { select {} })
	runtime.SetFinalizer(new(object), func(*object) { mutex.Lock() })
	newer()
	for i := 0; i < 3; i++ {
		runtime.GC()
		time.Sleep(20 * time.Millisecond)
	}
	runtime.GC() // it records since when they wait
	fmt.Println("ready")
	select {}
}

// read waits in a system call.
func read() {
	var p [2]int
	syscall.Pipe(p[:])
	syscall.Read(p[0], make([]byte, 1))
}
