// Command timers waits for time to pass in each way. It prints "ready" when all wait.
package main

import (
	"bytes"
	"fmt"
	"runtime"
	"time"
)

//go:noinline
func sleep() { time.Sleep(time.Hour) }

//go:noinline
func after() { <-time.After(2 * time.Hour) }

//go:noinline
func tick() { <-time.NewTicker(3 * time.Hour).C }

//go:noinline
func choose(c chan int) {
	select {
	case <-c:
	case <-time.After(4 * time.Hour):
	}
}

// stopped waits for a timer that never fires.
//
//go:noinline
func stopped() {
	t := time.NewTimer(5 * time.Hour)
	t.Stop()
	<-t.C
}

func main() {
	go sleep()
	go after()
	go tick()
	go choose(make(chan int))
	go stopped()
	const waiting = 5
	for stacks := make([]byte, 1<<20); ; time.Sleep(time.Millisecond) {
		stacks := stacks[:runtime.Stack(stacks, true)]
		if bytes.Count(stacks, []byte("[sleep"))+bytes.Count(stacks, []byte("[chan receive"))+bytes.Count(stacks, []byte("[select")) == waiting {
			break
		}
	}
	fmt.Println("ready")
	select {}
}
