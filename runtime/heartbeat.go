package meminspect

import (
	"time"

	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// A Heartbeat is a counter that the program must advance. Its methods can be
// called from several goroutines at the same time.
type Heartbeat struct{ h registry.Heartbeat }

// NewHeartbeat starts a counter that the program must advance at least once
// every limit; 0 means no limit. Nothing in the program watches it: a
// supervisor does, and captures the program if the counter stops.
func NewHeartbeat(name string, limit time.Duration) *Heartbeat {
	if registry.Off {
		return nil
	}
	h := new(Heartbeat)
	h.h.Start(name, limit)
	return h
}

// Beat advances the counter. It allocates nothing and takes no lock.
func (h *Heartbeat) Beat() {
	if !registry.Off {
		h.h.Beat()
	}
}

// Stop ends the watch for good. Later calls do nothing.
func (h *Heartbeat) Stop() {
	if !registry.Off {
		h.h.Stop()
	}
}
