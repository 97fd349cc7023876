// Command leaks has goroutines that wait, some of them for ever: which, its seed decides.
// For each byte that it reads it writes the runtime's stacks of all goroutines, after the
// runtime looked for leaked ones, and a zero byte.
package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What variables lead to.
var (
	channels = map[string]chan int{}
	locks    []*lock
	closures []func()
	anything any
)

type lock struct {
	sync.Mutex
	rw   sync.RWMutex
	cond *sync.Cond
	wg   sync.WaitGroup
	jobs chan *lock
}

func newLock() *lock {
	l := &lock{jobs: make(chan *lock)}
	l.cond = sync.NewCond(&l.Mutex)
	return l
}

func main() {
	seed, err := strconv.ParseUint(os.Args[1], 10, 64)
	if err != nil {
		panic(err)
	}
	begin(rand.New(rand.NewPCG(seed, 1)))
	for !settled() {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("ready")
	in := make([]byte, 1)
	for {
		if _, err := os.Stdin.Read(in); err != nil {
			return
		}
		if err := pprof.Lookup("goroutineleak").WriteTo(os.Stdout, 2); err != nil {
			panic(err)
		}
		os.Stdout.Write([]byte{0})
	}
}

// settled reports whether all goroutines wait but this one.
func settled() bool {
	buf := make([]byte, 1<<20)
	text := string(buf[:runtime.Stack(buf, true)])
	return !strings.Contains(text, " [runnable") && strings.Count(text, " [running") == 1
}

// begin starts goroutines. Its frame is gone when they wait.
//
//go:noinline
func begin(rng *rand.Rand) {
	for i := range 40 {
		patterns[rng.IntN(len(patterns))](rng.IntN(3) == 0, i)
	}
}

// Each starts goroutines that wait. If kept, a variable leads to what they wait for.
var patterns = []func(kept bool, i int){
	func(kept bool, i int) { // a channel
		c := make(chan int)
		if kept {
			channels[strconv.Itoa(i)] = c
		}
		go receive(c)
	},
	func(kept bool, i int) {
		c := make(chan int)
		if kept {
			closures = append(closures, func() { <-c })
		}
		go send(c)
	},
	func(kept bool, i int) { // a lock in a struct
		l := newLock()
		l.Lock()
		if kept {
			locks = append(locks, l)
		}
		go l.lock()
	},
	func(kept bool, i int) {
		l := newLock()
		l.rw.Lock()
		if kept {
			anything = []any{anything, l}
		}
		go l.readLock()
	},
	func(kept bool, i int) {
		l := newLock()
		l.wg.Add(1)
		if kept {
			locks = append(locks, l)
		}
		go l.wait()
		go l.condition()
	},
	func(kept bool, i int) { // a chain, whose end may be kept by a goroutine that can run
		first, second, third := make(chan int), make(chan int), make(chan int)
		if kept {
			go sleep(first)
		}
		go hold(first, second)
		go hold(second, third)
		go receive(third)
	},
	func(kept bool, i int) { // a cycle
		a, b := make(chan int), make(chan int)
		if kept {
			channels[strconv.Itoa(i)] = b
		}
		go hold(a, b)
		go hold(b, a)
	},
	func(kept bool, i int) { // select
		a, b := make(chan int), make(chan int)
		if kept {
			channels[strconv.Itoa(i)] = b
		}
		go choose(a, b)
	},
	func(kept bool, i int) { // a timer leads to its channel
		c := make(chan int)
		if kept {
			go timeout(c)
		} else {
			go choose(c, nil)
		}
	},
	func(kept bool, i int) {
		if kept {
			go receive(nil)
		} else {
			go func() { select {} }()
		}
	},
	func(kept bool, i int) { // a context
		ctx, cancel := context.WithCancel(context.Background())
		if kept {
			closures = append(closures, cancel)
		}
		go done(ctx)
	},
	func(kept bool, i int) { // a queue whose elements lead on
		l := newLock()
		l.jobs = make(chan *lock, 2)
		inner := newLock()
		l.jobs <- inner
		if kept {
			locks = append(locks, l)
		}
		go inner.take()
	},
}

//go:noinline
func receive(c chan int) { <-c }

//go:noinline
func send(c chan int) { c <- 1 }

//go:noinline
func hold(wait, held chan int) {
	<-wait
	held <- 1
}

//go:noinline
func sleep(held chan int) {
	time.Sleep(time.Hour)
	held <- 1
}

//go:noinline
func choose(a, b chan int) {
	select {
	case <-a:
	case b <- 1:
	}
}

//go:noinline
func timeout(c chan int) {
	select {
	case <-c:
	case <-time.After(time.Hour):
	}
}

//go:noinline
func done(ctx context.Context) { <-ctx.Done() }

//go:noinline
func (l *lock) lock() { l.Lock() }

//go:noinline
func (l *lock) readLock() { l.rw.RLock() }

//go:noinline
func (l *lock) wait() { l.wg.Wait() }

//go:noinline
func (l *lock) condition() {
	l.Lock()
	l.cond.Wait()
}

//go:noinline
func (l *lock) take() { <-l.jobs }
