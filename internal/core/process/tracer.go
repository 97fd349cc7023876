package process

import (
	"errors"
	"runtime"
	"sync"
)

// A Tracer is a thread of this program that traces others. The kernel accepts
// ptrace calls for a traced thread only from the thread that seized it. When a
// tracing thread ends, even if it is killed, everything that it traces
// continues. All methods may be called from any goroutine.
type Tracer struct {
	work chan func()
	done chan struct{}
	once sync.Once
}

// ErrTracerClosed is returned by calls of a closed Tracer.
var ErrTracerClosed = errors.New("tracer is closed")

// NewTracer starts a tracer. The caller must close it.
func NewTracer() *Tracer {
	t := &Tracer{work: make(chan func()), done: make(chan struct{})}
	go t.run()
	return t
}

func (t *Tracer) run() {
	runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
	if isMainThread() {
		// The main thread never ends, so its tracees would stay traced. Occupy it
		// here, so that the goroutine below gets another thread.
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

// Go runs f on the tracer's thread and does not wait for it. A closed tracer
// does not run it.
func (t *Tracer) Go(f func()) {
	select {
	case t.work <- f:
	case <-t.done:
	}
}

// Close ends the tracer's thread after its current call. Everything that it
// still traces continues.
func (t *Tracer) Close() error {
	t.once.Do(func() { close(t.done) })
	return nil
}
