//go:build !meminspect_off

package meminspect

import (
	"iter"
	"sync"
	"time"
)

// heartbeatLock orders changes of the list of heartbeats.
var heartbeatLock sync.Mutex

// NewHeartbeat makes a counter that the program must move at least once every
// limit. Nothing in the program watches it: a collector outside does, and takes
// a core when it stands still.
func NewHeartbeat(name string, limit time.Duration) *Heartbeat {
	h := &Heartbeat{name: name, limit: int64(limit)}
	h.state.Store(1)
	heartbeatLock.Lock()
	h.next = root.heartbeats.Load()
	root.heartbeats.Store(h)
	heartbeatLock.Unlock()
	return h
}

// Beat says that the work goes on.
func (h *Heartbeat) Beat() { h.count.Add(1) }

// Stop ends the watch. A heartbeat that stopped does not start again.
func (h *Heartbeat) Stop() {
	heartbeatLock.Lock()
	defer heartbeatLock.Unlock()
	if h.state.Swap(0) == 0 {
		return
	}
	// A reader outside that stands on h still finds the rest through it.
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

// Heartbeats returns those that have not stopped, the latest first.
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

// Name returns what the heartbeat was called.
func (h *Heartbeat) Name() string { return h.name }

// Limit returns how long it may stand still.
func (h *Heartbeat) Limit() time.Duration { return time.Duration(h.limit) }

// Count returns the beats so far.
func (h *Heartbeat) Count() uint64 { return h.count.Load() }

// Supervised reports whether a supervisor outside has the program's crash
// output.
func Supervised() bool { return root.crashFD.Load() != 0 }
