//go:build !meminspect_off

package registry

import (
	"iter"
	"sync"
	"time"
)

// heartbeatLock serializes changes of the list of heartbeats.
var heartbeatLock sync.Mutex

// Start publishes a heartbeat.
func (h *Heartbeat) Start(name string, limit time.Duration) {
	h.name, h.limit = name, int64(limit)
	h.state.Store(1)
	heartbeatLock.Lock()
	defer heartbeatLock.Unlock()
	h.next = root.heartbeats.Load()
	root.heartbeats.Store(h)
}

// Beat counts one beat.
func (h *Heartbeat) Beat() { h.count.Add(1) }

// Stop withdraws a heartbeat permanently.
func (h *Heartbeat) Stop() {
	heartbeatLock.Lock()
	defer heartbeatLock.Unlock()
	if h.state.Swap(0) == 0 {
		return
	}
	// h keeps its link: an external reader that has reached h still finds the rest
	// through it.
	if root.heartbeats.Load() == h {
		root.heartbeats.Store(h.next)
		return
	}
	for at := root.heartbeats.Load(); at != nil; at = at.next {
		if at.next == h {
			at.next = h.next
			return
		}
	}
}

// Name returns the heartbeat's name.
func (h *Heartbeat) Name() string { return h.name }

// Limit returns the maximum time between two beats.
func (h *Heartbeat) Limit() time.Duration { return time.Duration(h.limit) }

// Count returns the number of beats so far.
func (h *Heartbeat) Count() uint64 { return h.count.Load() }

// Heartbeats returns the heartbeats that have not stopped, the latest first.
func Heartbeats() iter.Seq[*Heartbeat] {
	return func(yield func(*Heartbeat) bool) {
		heartbeatLock.Lock()
		var all []*Heartbeat
		for h := root.heartbeats.Load(); h != nil; h = h.next {
			all = append(all, h)
		}
		heartbeatLock.Unlock()
		for _, h := range all {
			if !yield(h) {
				return
			}
		}
	}
}
