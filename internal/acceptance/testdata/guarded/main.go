//go:build goexperiment.runtimesecret

// Guarded handles secrets under package runtime/secret: one goroutine sleeps
// there, one computes there, and one does the same outside.
package main

import (
	"fmt"
	"runtime/secret"
	"time"
)

// fill makes words that are nowhere in the executable.
func fill(words *[64]uint64, n uint64) {
	for i := range words {
		n ^= n >> 29
		n = n*0xbf58476d1ce4e5b9 + 1
		words[i] = n
	}
}

//go:noinline
func sleep(seed uint64, ready chan<- bool) (sum uint64) {
	var words [64]uint64
	fill(&words, seed)
	ready <- true
	time.Sleep(time.Hour)
	for _, w := range words {
		sum ^= w
	}
	return sum
}

//go:noinline
func compute(seed uint64, ready chan<- bool) (sum uint64) {
	var words [64]uint64
	fill(&words, seed)
	ready <- true
	for {
		for _, w := range words {
			sum ^= w
		}
		if sum == 1 {
			return sum
		}
	}
}

func main() {
	ready := make(chan bool)
	go secret.Do(func() { sleep(1001, ready) })
	go secret.Do(func() { compute(1002, ready) })
	go sleep(1003, ready)
	for i := 0; i < 3; i++ {
		<-ready
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
}
