//go:build !meminspect_off

package meminspect

import (
	"slices"
	"sync"
)

// A notifier has a queue of its own and at most one goroutine at a time that
// empties it: the one whose change came when nobody did. So events come in
// order, a slow notifier holds up no other goroutine, and one that registers
// regions itself is told of them when it returns.
type notifier struct {
	fn      func(Event)
	mu      sync.Mutex
	events  []Event
	busy    bool
	stopped bool
}

// Notify has fn called for every region that there is, as added, and then for
// every change, in order and one at a time. It is called on the goroutines that
// make the changes, outside all locks: it may use the whole of this package. A
// panic of fn goes no further. After stop no call begins.
func Notify(fn func(Event)) (stop func()) {
	n := &notifier{fn: fn}
	listening.mu.Lock()
	reg.mu.Lock()
	for r := range staticRegions {
		n.events = append(n.events, Event{true, r})
	}
	for _, r := range reg.copyLocked() {
		n.events = append(n.events, Event{true, r})
	}
	listening.notifiers = append(listening.notifiers, n)
	listening.end = endTelling
	listening.some.Store(true)
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
	reg.mu.Lock()
	if i := slices.Index(listening.notifiers, n); i >= 0 {
		listening.notifiers = slices.Delete(slices.Clone(listening.notifiers), i, i+1)
		listening.some.Store(len(listening.backends)+len(listening.notifiers) > 0)
	}
	reg.mu.Unlock()
	listening.mu.Unlock()
}

func (n *notifier) queue(e Event) {
	n.mu.Lock()
	if !n.stopped {
		n.events = append(n.events, e)
	}
	n.mu.Unlock()
}

// drain calls fn until the queue is empty, unless another goroutine does.
func (n *notifier) drain() {
	n.mu.Lock()
	if n.busy {
		n.mu.Unlock()
		return
	}
	n.busy = true
	// fn may end the goroutine: what is queued then is the next one's.
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
