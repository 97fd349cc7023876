package pstore

import (
	"fmt"
	"runtime"
	"time"

	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// A watch remembers when heartbeats advanced.
type watch struct {
	seen map[*registry.Heartbeat]beat
}

type beat struct {
	count  uint64
	moved  time.Time
	missed bool // missed and already reported
}

// look returns a line for each heartbeat that was missed since the last call.
func (w *watch) look(now time.Time) (missed []string) {
	alive := map[*registry.Heartbeat]beat{}
	for h := range registry.Heartbeats() {
		b, ok := w.seen[h]
		if count := h.Count(); !ok || count != b.count {
			b = beat{count: count, moved: now}
		}
		if silent := now.Sub(b.moved); h.Limit() > 0 && silent > h.Limit() && !b.missed {
			b.missed = true
			missed = append(missed, fmt.Sprintf("heartbeat %s missed: no beat for %v, the limit is %v, %d beats before", h.Name(), silent.Round(time.Millisecond), h.Limit(), b.count))
		}
		alive[h] = b
	}
	w.seen = alive
	return missed
}

// stacks returns the stacks of all goroutines. It stops the program while it
// runs.
func stacks() []byte {
	b := make([]byte, 1<<20)
	return b[:runtime.Stack(b, true)]
}
