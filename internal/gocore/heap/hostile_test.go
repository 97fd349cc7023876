package heap_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/heap"
)

// A hostile memory changes some of what is read of it, or cannot read it.
type hostile struct {
	memory.Memory
	mu   sync.Mutex
	rand *rand.Rand
	odds int // one read in so many
}

func (h *hostile) ReadAt(p []byte, addr memory.Address) (int, error) {
	n, err := h.Memory.ReadAt(p, addr)
	h.mu.Lock()
	defer h.mu.Unlock()
	if n == 0 || h.rand.IntN(h.odds) > 0 {
		return n, err
	}
	switch at := h.rand.IntN(n); h.rand.IntN(4) {
	case 0:
		return at, memory.Unreadable(addr.Add(uint64(at)), memory.ErrNotMapped)
	case 1:
		for i := range p[at:min(n, at+8)] {
			p[at+i] = 0xff
		}
	default:
		p[at] ^= byte(1 + h.rand.IntN(255))
	}
	return n, err
}

// A heap whose memory is damaged in any place gives an error or a graph that can be
// worked with, and never takes long.
func TestHostileMemory(t *testing.T) {
	for _, b := range []build{{"local", "", "", true}, {"go1.21.13", "", "", true}} {
		t.Run(b.String(), func(t *testing.T) {
			p := start(t, b, 100)
			stopped, err := process.Stop(context.Background(), p.process, process.StopOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer stopped.Resume()
			errs, graphs := 0, 0
			for seed := range uint64(60) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				mem := &hostile{Memory: p.process.Memory(), rand: rand.New(rand.NewPCG(seed, 0)), odds: []int{10, 100, 1000, 10000}[seed%4]}
				g, err := p.target.Extract(ctx, mem, stopped.Threads, p.named, heap.Options{Paths: seed%2 == 0})
				if ctx.Err() != nil {
					t.Fatalf("seed %d: it took a minute: %v", seed, errors.Join(err, ctx.Err()))
				}
				cancel()
				if err != nil {
					errs++
					continue
				}
				graphs++
				h := g.Holdings()
				if h.Reached+h.Unknown+h.Garbage != g.Totals.Objects {
					t.Errorf("seed %d: %d objects reached, %d unknown, %d garbage of %d", seed, h.Reached, h.Unknown, h.Garbage, g.Totals.Objects)
				}
				if seed%2 == 0 {
					g.Paths(gotypes.New(mem, p.Prog))
				}
			}
			if errs == 0 || graphs == 0 {
				t.Errorf("%d errors, %d graphs: the damage is not where it should be", errs, graphs)
			}
		})
	}
}
