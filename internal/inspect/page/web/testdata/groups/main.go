// Command groups has as many goroutines as its argument demands, and no two of them have
// the same stack. It prints "ready" and waits.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
)

var number int

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	number = n
	if _, err := meminspect.Register(meminspect.IDDynamic, &number, meminspect.Name("number")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var ready sync.WaitGroup
	ready.Add(n)
	for i := range n {
		go left(i, 16, &ready)
	}
	ready.Wait()
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

// next calls left or right for each bit of n.
func next(n, bits int, ready *sync.WaitGroup) {
	switch {
	case bits == 0:
		ready.Done()
		time.Sleep(time.Hour)
	case n&1 == 0:
		left(n>>1, bits-1, ready)
	default:
		right(n>>1, bits-1, ready)
	}
}

//go:noinline
func left(n, bits int, ready *sync.WaitGroup) { next(n, bits, ready) }

//go:noinline
func right(n, bits int, ready *sync.WaitGroup) { next(n, bits, ready) }
