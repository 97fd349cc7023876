//go:build !meminspect_off

package registry

import (
	"slices"
	"sync"
)

// A notifier has a queue, and at most one goroutine drains it at a time: the
// one that made a change while no other was draining. So events arrive in
// order, a slow notifier delays no other goroutine, and a notifier that
// registers regions itself receives those events after it returns.
type notifier struct {
	fn      func(Event)
	mu      sync.Mutex
	events  []Event
	busy    bool
	stopped bool
}

// Notify calls fn for every current region, as added, and then for every
// change, in order and one at a time, on the goroutines that make the changes
// and outside all locks. A panic of fn is recovered. After stop, no call begins.
func Notify(fn func(Event)) (stop func()) {
	n := &notifier{fn: fn}
	listening.mu.Lock()
	reg.mu.Lock()
	for _, r := range reg.allLocked() {
		n.events = append(n.events, Event{Added: true, Region: r})
	}
	listening.notifiers = append(listening.notifiers, n)
	listening.listen()
	reg.mu.Unlock()
	listening.mu.Unlock()
	n.drain()
	return n.stop
}

func (n *notifier) stop() {
	n.mu.Lock()
	n.stopped = true
	n.events = nil
	n.mu.Unlock()
	listening.mu.Lock()
	defer listening.mu.Unlock()
	reg.mu.Lock()
	defer reg.mu.Unlock()
	if i := slices.Index(listening.notifiers, n); i >= 0 {
		listening.notifiers = slices.Delete(slices.Clone(listening.notifiers), i, i+1)
		listening.listen()
	}
}

func (n *notifier) queue(e Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.stopped {
		n.events = append(n.events, e)
	}
}

// drain calls fn until the queue is empty, unless another goroutine is
// draining.
func (n *notifier) drain() {
	n.mu.Lock()
	if n.busy {
		n.mu.Unlock()
		return
	}
	n.busy = true
	// fn may end the goroutine: the next one drains the rest of the queue.
	defer func() {
		n.busy = false
		n.mu.Unlock()
	}()
	for len(n.events) > 0 {
		e := n.events[0]
		n.events = n.events[1:]
		n.call(e)
	}
}

// call calls fn without the mutex that the caller holds.
func (n *notifier) call(e Event) {
	n.mu.Unlock()
	defer func() {
		_ = recover()
		n.mu.Lock()
	}()
	n.fn(e)
}
