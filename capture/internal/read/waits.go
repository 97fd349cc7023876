package read

import (
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/goroutine"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Limits for reading waits.
const (
	maxCases   = 1 << 16 // of a select statement
	maxWaiters = 1 << 22 // at one end of a channel
)

// waits finds what goroutines wait for. The core contains the result, not the
// runtime's records of waits and the heads of channels.
type waits struct {
	*goroutines
	chans   goobject.ChanLayout
	records map[memory.Address][]byte // that were read at once
	heads   map[memory.Address]*note.Wait
	sends   map[memory.Address]bool // records of goroutines that wait to send
}

// readWaits reads what each goroutine waits for. It omits inconsistent records:
// a program that was not stopped keeps changing.
func (gs *goroutines) readWaits() {
	w := waits{
		goroutines: gs, chans: goobject.ChanLayoutOf(gs.program.Runtime.Version),
		heads: map[memory.Address]*note.Wait{}, sends: map[memory.Address]bool{},
	}
	w.readRecords()
	for i := range gs.all {
		if g := &gs.all[i]; blocked(g) {
			w.add(g)
		}
	}
}

func blocked(g *goroutine.G) bool {
	return g.Waiting != 0 && (g.Status == goroutine.Waiting || g.Status == goroutine.Leaked)
}

// readRecords reads the first record of every goroutine. One by one, each would
// take a system call while the program is stopped.
func (w *waits) readRecords() {
	var at []memory.Range
	for i := range w.all {
		if g := &w.all[i]; blocked(g) {
			at = append(at, memory.RangeOf(g.Waiting, w.chans.SudogSize))
		}
	}
	slices.SortFunc(at, func(a, b memory.Range) int { return a.Start.Compare(b.Start) })
	kept := at[:0]
	for _, r := range at {
		if n := len(kept); n == 0 || kept[n-1].End <= r.Start {
			kept = append(kept, r)
		}
	}
	const near = 256
	data, holes, err := memory.Gather(w.mem, kept, near, w.rehearsal.temporary(), nil)
	if err != nil || len(holes) > 0 {
		return
	}
	w.records = make(map[memory.Address][]byte, len(kept))
	w.out.Waits = slices.Grow(w.out.Waits, len(kept))
	for i, r := range kept {
		w.records[r.Start] = data[i]
	}
}

// read is a goobject.ReadFunc.
func (w *waits) read(addr memory.Address, size uint64) ([]byte, bool) {
	if b, ok := w.records[addr]; ok && uint64(len(b)) == size {
		return b, true
	}
	b, err := memory.Reader{Memory: w.mem}.Bytes(addr, size, size)
	return b, err == nil
}

// add adds what a goroutine waits for.
func (w *waits) add(g *goroutine.G) {
	for r, err := range w.chans.Waits(g.Waiting, g.Addr, w.read, maxCases) {
		if err != nil {
			return
		}
		wait := note.Wait{Object: uint64(r.Elem)}
		if r.Chan != 0 {
			head := w.head(r.Chan)
			if head == nil {
				continue
			}
			wait = *head
			if w.sends[r.Start] {
				wait.Flags |= note.WaitSend
			}
		}
		if r.Select {
			wait.Flags |= note.WaitSelect
		}
		wait.Goroutine = g.ID
		w.out.Waits = append(w.out.Waits, wait)
	}
}

// head reads the head of a channel, nil if it is inconsistent, and records
// which goroutines wait to send on it.
func (w *waits) head(addr memory.Address) *note.Wait {
	if head, ok := w.heads[addr]; ok {
		return head
	}
	w.heads[addr] = nil
	b, ok := w.read(addr, w.chans.Size)
	if !ok {
		return nil
	}
	elem, err := w.program.Types.At(w.chans.ElemType(b))
	if err != nil {
		return nil
	}
	c, err := w.chans.Chan(b, elem)
	if err != nil {
		return nil
	}
	head := &note.Wait{Object: uint64(addr), Flags: note.WaitChannel, Elem: elem.String(), Len: c.Len, Cap: c.Cap}
	if c.Closed {
		head.Flags |= note.WaitClosed
	}
	for r, err := range w.chans.Waiters(addr, c.Senders, w.read, maxWaiters) {
		if err != nil {
			break
		}
		w.sends[r.Start] = true
	}
	w.heads[addr] = head
	return head
}
