// Command deadlocks has goroutines that wait for each other, and some that only seem to.
// It prints "ready" when each of them is about to wait.
package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type account struct {
	mu   sync.Mutex
	rw   sync.RWMutex
	cond *sync.Cond
}

type all struct {
	Name             string // a pointer to the first field is one to the struct
	Pair, Ring, Hand [3]account
	Self, Again      account
	Readers          account
	Waits            account
	Busy             account
	Group, Healthy   sync.WaitGroup
	Jobs, Work       chan int
	Caches           [2]cache
	Once, Slow       sync.Once
	Upgraded         account
	Relocked         account
	Rewritten        account
	Itself           sync.WaitGroup
	Pipes            [2]chan int
}

// A cache begins with its lock, so a pointer to it is one to the lock.
type cache struct {
	mu     sync.Mutex
	closed int
}

func (c *cache) close() {
	c.mu.Lock()
	c.closed++
	c.mu.Unlock()
}

// user has a deferred call with a lock that it does not have.
//
//go:noinline
func user(mine, other *cache) {
	defer mine.close()
	other.mu.Lock()
	other.mu.Unlock()
}

// relock has unlocked what its deferred call will lock again.
//
//go:noinline
func relock(mine, other *cache) {
	defer mine.mu.Lock()
	other.mu.Lock()
	other.mu.Unlock()
}

// slow has the locks for which users wait.
//
//go:noinline
func slow(first, second *cache, locked chan bool) {
	first.mu.Lock()
	second.mu.Lock()
	locked <- true
	time.Sleep(time.Hour)
	first.mu.Unlock()
	second.mu.Unlock()
}

// pipe will close one channel and waits for another, on which others may send.
//
//go:noinline
func pipe(to, from chan int) {
	defer close(to)
	<-from
}

//go:noinline
func sender(first, second chan int) {
	time.Sleep(time.Hour)
	first <- 1
	second <- 1
}

var state all

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "deadlocks",
	Namespace: "deadlocks",
	Entries:   []meminspectimpl.Entry{{ID: 1<<63 | 1, Name: "state", Expr: "state", Var: &state}},
}

func init() { meminspectimpl.Link(&table) }

// transfer has a deferred unlock of the first lock when it waits for the second.
//
//go:noinline
func transfer(from, to *account, met *sync.WaitGroup) {
	from.mu.Lock()
	defer from.mu.Unlock()
	meet(met)
	to.mu.Lock()
	defer to.mu.Unlock()
}

// byHand unlocks without defer.
//
//go:noinline
func byHand(from, to *account, met *sync.WaitGroup) {
	from.mu.Lock()
	meet(met)
	to.mu.Lock()
	to.mu.Unlock()
	from.mu.Unlock()
}

func meet(met *sync.WaitGroup) {
	met.Done()
	met.Wait()
}

// first and second are of no struct: no stack has a pointer to them.
var first, second sync.Mutex

//go:noinline
func firstSecond(met *sync.WaitGroup) {
	first.Lock()
	meet(met)
	lockSecond()
	first.Unlock()
}

//go:noinline
func secondFirst(met *sync.WaitGroup) {
	second.Lock()
	meet(met)
	lockFirst()
	second.Unlock()
}

//go:noinline
func lockFirst() { first.Lock() }

//go:noinline
func lockSecond() { second.Lock() }

// third and fourth are of no struct too.
var third, fourth sync.Mutex

// thirdFourth waits in a call of Lock that is inlined, and has locked third.
//
//go:noinline
func thirdFourth() {
	third.Lock()
	fourth.Lock()
	fourth.Unlock()
	third.Unlock()
}

//go:noinline
func lockThird() {
	third.Lock()
	third.Unlock()
}

// outer calls a method that locks what it has locked.
//
//go:noinline
func (a *account) outer() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inner()
}

//go:noinline
func (a *account) inner() {
	a.mu.Lock()
	defer a.mu.Unlock()
}

// again has unlocked what its deferred call will unlock, and another has locked it.
//
//go:noinline
func (a *account) again(other func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.Unlock()
	other()
	a.mu.Lock()
}

// late calls what waits for the lock before its own defer statement.
//
//go:noinline
func (a *account) late() {
	a.inner()
	a.mu.Lock()
	defer a.mu.Unlock()
}

//go:noinline
func (a *account) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	time.Sleep(time.Hour)
}

// twice runs a function once that waits for its own end.
//
//go:noinline
func twice(once *sync.Once) { once.Do(func() { inOnce(once) }) }

//go:noinline
func inOnce(once *sync.Once) { once.Do(func() {}) }

// slowOnce runs a function for which others wait.
//
//go:noinline
func slowOnce(once *sync.Once, locked chan bool) {
	once.Do(func() {
		locked <- true
		time.Sleep(time.Hour)
	})
}

// upgrade locks for writing what it has locked for reading.
//
//go:noinline
func (a *account) upgrade() {
	a.rw.RLock()
	defer a.rw.RUnlock()
	a.write()
}

//go:noinline
func (a *account) write() {
	a.rw.Lock()
	defer a.rw.Unlock()
}

// upgradeHere locks for writing what it has locked for reading, in one function.
//
//go:noinline
func (a *account) upgradeHere() {
	a.rw.RLock()
	defer a.rw.RUnlock()
	a.rw.Lock()
	defer a.rw.Unlock()
}

// relockHere has unlocked what its deferred call will unlock.
//
//go:noinline
func (a *account) relockHere() {
	a.rw.RLock()
	defer a.rw.RUnlock()
	a.rw.RUnlock()
	a.rw.Lock()
	a.rw.Unlock()
	a.rw.RLock()
}

// rewriteHere has unlocked what its deferred call will unlock, for writing.
//
//go:noinline
func (a *account) rewriteHere() {
	a.rw.Lock()
	defer a.rw.Unlock()
	a.rw.Unlock()
	a.rw.Lock()
}

// read is a reader, for which those wait.
//
//go:noinline
func (a *account) read(locked chan bool) {
	a.rw.RLock()
	defer a.rw.RUnlock()
	locked <- true
	time.Sleep(time.Hour)
}

// waitsForItself waits before its deferred call.
//
//go:noinline
func waitsForItself(group *sync.WaitGroup) {
	group.Add(1)
	defer group.Done()
	group.Wait()
}

// wait has a deferred unlock of the lock that Wait has unlocked.
//
//go:noinline
func (a *account) wait() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cond.Wait()
}

// worker waits for jobs that only who waits for the worker can send.
//
//go:noinline
func worker(done *sync.WaitGroup, jobs chan int) {
	defer done.Done()
	for range jobs {
	}
}

//go:noinline
func waitsForWorkers(done *sync.WaitGroup, jobs chan int) {
	done.Wait()
	close(jobs)
}

//go:noinline
func producer(jobs chan int) {
	time.Sleep(time.Hour)
	close(jobs)
}

// start starts all of them.
func start() {
	go func() { state.Self.outer() }()
	go state.Readers.upgrade()

	for _, set := range []struct {
		accounts []account
		lock     func(from, to *account, met *sync.WaitGroup)
	}{{state.Pair[:2], transfer}, {state.Ring[:], transfer}, {state.Hand[:2], byHand}} {
		var met sync.WaitGroup
		met.Add(len(set.accounts))
		for i := range set.accounts {
			go set.lock(&set.accounts[i], &set.accounts[(i+1)%len(set.accounts)], &met)
		}
		met.Wait() // each has its first lock
	}
	var met sync.WaitGroup
	met.Add(2)
	go firstSecond(&met)
	go secondFirst(&met)
	for range 2 { // they wait for what is in a deadlock
		go state.Pair[0].inner()
	}

	fourth.Lock()
	go thirdFourth()
	for third.TryLock() {
		third.Unlock()
		time.Sleep(time.Millisecond)
	}
	go lockThird()

	state.Again.mu.Lock()
	state.Again.mu.Unlock()
	locked := make(chan bool)
	go state.Again.again(func() { go func() { state.Again.mu.Lock(); locked <- true; time.Sleep(time.Hour) }(); <-locked })

	go state.Busy.hold()
	for state.Busy.mu.TryLock() {
		state.Busy.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	for range 3 {
		go state.Busy.late()
	}

	state.Waits.cond = sync.NewCond(&state.Waits.mu)
	go state.Waits.wait()

	state.Jobs, state.Work = make(chan int), make(chan int)
	state.Group.Add(1)
	go worker(&state.Group, state.Jobs)
	go waitsForWorkers(&state.Group, state.Jobs)
	state.Healthy.Add(1)
	go worker(&state.Healthy, state.Work)
	go waitsForWorkers(&state.Healthy, state.Work)
	go producer(state.Work)

	go slow(&state.Caches[0], &state.Caches[1], locked)
	<-locked
	go user(&state.Caches[0], &state.Caches[1])
	go user(&state.Caches[1], &state.Caches[0])
	go relock(&state.Caches[0], &state.Caches[1])
	go relock(&state.Caches[1], &state.Caches[0])

	state.Pipes = [2]chan int{make(chan int), make(chan int)}
	go pipe(state.Pipes[0], state.Pipes[1])
	go pipe(state.Pipes[1], state.Pipes[0])
	go sender(state.Pipes[0], state.Pipes[1])

	go state.Upgraded.upgradeHere()
	go state.Relocked.read(locked)
	<-locked
	go state.Relocked.relockHere()
	go state.Rewritten.read(locked)
	<-locked
	go state.Rewritten.rewriteHere()
	go waitsForItself(&state.Itself)

	go twice(&state.Once)
	go slowOnce(&state.Slow, locked)
	<-locked
	go inOnce(&state.Slow)
}

func main() {
	var started sync.WaitGroup
	started.Go(start) // its pointers end with its stack
	started.Wait()
	fmt.Println("ready")
	time.Sleep(time.Hour)
}
