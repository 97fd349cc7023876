//go:build !meminspect_off

package registry

import (
	"sync"
	"sync/atomic"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// listeners are the backends and notifiers. Their mutex is locked before the
// registry's and stays locked while backends are called, so that each one
// receives every change once and in order. Without listeners it is not locked.
type listeners struct {
	mu        sync.Mutex
	any       atomic.Bool // changed with both mutexes locked
	announce  func(events []Event, excluded bool)
	backends  []*attached
	notifiers []*notifier
}

var listening listeners

// A change is one change of the registry. Between begin and end the registry is
// locked; end announces what changed.
type change struct {
	tell     bool // there are listeners
	excluded bool // exclusions changed
	events   []Event
}

func (c *change) begin() {
	reg.mu.Lock()
	if !listening.any.Load() {
		return
	}
	reg.mu.Unlock()
	listening.mu.Lock()
	reg.mu.Lock()
	c.tell = true
}

// note records that a slot's region was added or is about to be removed.
func (c *change) note(added bool, ref uint32) {
	s := reg.slot(ref)
	if s.Kind == anchor.SlotExcluded {
		c.excluded = true
		return
	}
	if c.tell {
		c.events = append(c.events, Event{Added: added, Region: s.region()})
	}
}

// end unlocks the registry and announces the change. It calls a variable that
// Attach and Notify set, so that a program that only registers does not link
// the code of announcing.
func (c *change) end() {
	if !c.tell {
		reg.mu.Unlock()
		return
	}
	listening.announce(c.events, c.excluded)
}
