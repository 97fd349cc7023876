package process

import (
	"errors"
	"runtime"
	"sync"
)

// A Tracer is a thread of this program that traces others: the kernel takes
// ptrace calls for a traced thread only from the thread that seized it, and lets
// everything that a thread traces run on when that thread ends, also when it is
// killed. All methods may be called from any goroutine.
type Tracer struct {
	work chan func()
	done chan struct{}
	once sync.Once
}

// ErrTracerClosed is returned by what a closed Tracer is asked to do.
var ErrTracerClosed = errors.New("tracer is closed")

// NewTracer starts a tracer. It must be closed.
func NewTracer() *Tracer {
	t := &Tracer{work: make(chan func()), done: make(chan struct{})}
	go t.run()
	return t
}

func (t *Tracer) run() {
	runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
	if isMainThread() {
		// The main thread never ends, and what it traces stays traced: hold it
		// here, so that the goroutine below gets another.
		go t.run()
		<-t.done
		return
	}
	for {
		select {
		case f := <-t.work:
			f()
		case <-t.done:
			return
		}
	}
}

// Do runs f on the tracer's thread and returns when it has ended.
func (t *Tracer) Do(f func()) error {
	ended := make(chan struct{})
	select {
	case <-t.done:
		return ErrTracerClosed
	default:
	}
	select {
	case t.work <- func() { defer close(ended); f() }:
		<-ended
		return nil
	case <-t.done:
		return ErrTracerClosed
	}
}

// Go has f run on the tracer's thread and does not wait for it. A tracer that
// was closed does not run it.
func (t *Tracer) Go(f func()) {
	select {
	case t.work <- f:
	case <-t.done:
	}
}

// Close ends the tracer's thread, once it has done what it is at. Everything that
// it still traced runs on.
func (t *Tracer) Close() error {
	t.once.Do(func() { close(t.done) })
	return nil
}
