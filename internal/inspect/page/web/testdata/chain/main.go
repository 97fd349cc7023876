// Command chain has as many goroutines as its argument demands. Each holds a lock and waits
// for that of the next one. It prints "ready" and waits.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
)

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	locks := make([]sync.Mutex, n+1)
	if _, err := meminspect.Register(meminspect.IDDynamic, &locks, meminspect.Name("locks")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	locks[n].Lock()
	var held sync.WaitGroup
	held.Add(n)
	for i := range n {
		go wait(&locks[i], &locks[i+1], &held)
	}
	held.Wait()
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

//go:noinline
func wait(own, next *sync.Mutex, held *sync.WaitGroup) {
	own.Lock()
	defer own.Unlock()
	held.Done()
	held.Wait()
	next.Lock()
	defer next.Unlock()
}
