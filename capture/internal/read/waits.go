package read

import (
	"cmp"
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
	chans  goobject.ChanLayout
	firsts []first // records that were read at once, by address
	of     []int   // for each goroutine its first record's index, -1 if it was not read
	now    *first  // of the goroutine at hand
	heads  map[memory.Address]*note.Wait
	latest struct { // of heads
		addr memory.Address
		head *note.Wait
	}
	sends map[memory.Address]bool // records of goroutines that wait to send
}

// A first is the first record of a goroutine.
type first struct {
	addr memory.Address
	data []byte
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
			if w.now = nil; len(w.of) > 0 && w.of[i] >= 0 {
				w.now = &w.firsts[w.of[i]]
			}
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
	type place struct {
		addr memory.Address
		of   int
	}
	var places []place
	for i := range w.all {
		if g := &w.all[i]; blocked(g) {
			places = append(places, place{g.Waiting, i})
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.addr, b.addr) })
	kept := make([]memory.Range, 0, len(places))
	of := make([]int, len(w.all))
	for i := range of {
		of[i] = -1
	}
	for _, p := range places {
		if n := len(kept); n == 0 || kept[n-1].End <= p.addr {
			of[p.of] = len(kept)
			kept = append(kept, memory.RangeOf(p.addr, w.chans.SudogSize))
		}
	}
	const near = 256
	data, holes, err := memory.Gather(w.mem, kept, near, w.rehearsal.temporary(), nil)
	if err != nil || len(holes) > 0 {
		return
	}
	w.out.Waits = slices.Grow(w.out.Waits, len(kept))
	w.of, w.firsts = of, make([]first, len(kept))
	for i, r := range kept {
		w.firsts[i] = first{r.Start, data[i]}
	}
}

// read is a goobject.ReadFunc.
func (w *waits) read(addr memory.Address, size uint64) ([]byte, bool) {
	if w.now != nil && w.now.addr == addr && uint64(len(w.now.data)) == size {
		return w.now.data, true
	}
	// A map of all records would take longer to make than these searches take.
	at, ok := slices.BinarySearchFunc(w.firsts, addr, func(f first, addr memory.Address) int { return cmp.Compare(f.addr, addr) })
	if ok && uint64(len(w.firsts[at].data)) == size {
		return w.firsts[at].data, true
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
	if w.latest.addr != addr {
		w.latest.addr, w.latest.head = addr, w.headOf(addr)
	}
	return w.latest.head
}

func (w *waits) headOf(addr memory.Address) *note.Wait {
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
	if timer := w.chans.Timer(b); timer != 0 {
		if when, ok := w.read(timer, memory.PtrSize); ok {
			head.Fires = int64(leWord(when))
		}
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
