// Command deep has goroutines with deep stacks, which wait in their innermost
// calls: by one function, by functions that are called through interfaces and
// closures and have frames of many sizes, and main itself.
package main

import (
	"fmt"
	"time"
)

const depth = 6000

var (
	forever = make(chan int)
	waiting = make(chan bool)
	sink    byte
)

//go:noinline
func direct(n int) int {
	if n == 0 {
		waiting <- true
		return <-forever
	}
	return direct(n-1) + n
}

type step interface{ down(n int) int }

type small struct{ pad int }

type large struct{}

// down leaves the return addresses of calls that have ended on the stack.
func (s small) down(n int) int {
	leave(n % 7)
	if n == 0 {
		waiting <- true
		return <-forever
	}
	next := step(large{})
	if n%3 == 0 {
		next = small{n}
	}
	return next.down(n-1) + s.pad
}

func (large) down(n int) int {
	var scratch [300]byte
	leave(n % 5)
	call := func(m int) int { return step(small{m}).down(m) }
	if n%2 == 0 {
		call = func(m int) int { scratch[m%300]++; return step(large{}).down(m) + int(scratch[n%300]) }
	}
	if n == 0 {
		return small{}.down(0)
	}
	return call(n-1) + 1
}

//go:noinline
func leave(n int) {
	var frame [64]byte
	frame[n] = byte(n)
	if n > 0 {
		leave(n - 1)
	}
	sink += frame[n]
}

//go:noinline
func own(n int) {
	if n == 0 {
		fmt.Println("ready")
		time.Sleep(time.Hour)
	}
	own(n - 1)
	sink++
}

func main() {
	go func() { direct(depth) }()
	go func() { step(small{}).down(depth) }()
	<-waiting
	<-waiting
	own(depth)
}
