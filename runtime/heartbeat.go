//go:build !meminspect_off

package meminspect

import (
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
