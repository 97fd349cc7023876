package walk

import (
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// Offsets in runtime.hchan. In front of elemtype stands a timer from Go 1.23
// on; behind the queues a synctest bubble from 1.25 on.
const (
	chanCount    = 0
	chanCap      = 8
	chanBuf      = 16
	chanElemSize = 24
	// From elemtype on.
	chanElemType  = 32
	chanSendIndex = 8
	chanRecvFirst = 24
	chanSendFirst = 40
)

// Offsets in runtime.sudog, a goroutine that waits on a channel.
const (
	sudogG    = 0
	sudogNext = 8
	sudogPrev = 16
)

// A layout holds what differs between Go releases in the objects of the
// runtime that values point at.
type layout struct {
	chanSize  uint64 // of runtime.hchan
	sudogSize uint64
	sudogElem uint64 // the value that is sent
	sudogChan uint64 // the channel that is waited for
}

// layoutOf follows the runtime's sources. From Go 1.26 on a sudog holds its
// pointers twice, the second time as plain numbers, which are right also when
// the leak detector has taken the first ones away.
func layoutOf(v module.Version) layout {
	l := layout{chanSize: 112, sudogSize: 104, sudogElem: 32, sudogChan: 96}
	if v.Minor < 26 {
		l.sudogSize, l.sudogElem, l.sudogChan = 88, 24, 80
	}
	switch {
	case v.Minor <= 22:
		l.chanSize = 96
	case v.Minor <= 24:
		l.chanSize = 104
	}
	return l
}

// mostFuncs bounds the functions that are listed.
const mostFuncs = 1 << 16

// mostWaiters bounds the goroutines that are listed for one end of a channel.
const mostWaiters = 1 << 16

// A channel is a decoded channel.
type channel struct {
	buf      memory.Address
	length   uint64 // of the buffer
	count    uint64 // values in it
	receiver memory.Address
	sender   memory.Address
}

// decodeChannel decodes a channel of elements of size bytes, whose type has
// this address. Where elemtype stands tells how the rest is laid out, and at
// the same time that this is a channel of the right type.
func decodeChannel(h []byte, elemType memory.Address, size uint64) (channel, bool) {
	elem := uint64(chanElemType)
	if memory.Address(le.Uint64(h[elem:])) != elemType {
		elem += wordBytes
		if memory.Address(le.Uint64(h[elem:])) != elemType {
			return channel{}, false
		}
	}
	c := channel{
		buf:      memory.Address(le.Uint64(h[chanBuf:])),
		length:   le.Uint64(h[chanCap:]),
		count:    le.Uint64(h[chanCount:]),
		receiver: memory.Address(le.Uint64(h[elem+chanRecvFirst:])),
		sender:   memory.Address(le.Uint64(h[elem+chanSendFirst:])),
	}
	index := le.Uint64(h[elem+chanSendIndex:])
	ok := c.count <= c.length && uint64(le.Uint16(h[chanElemSize:])) == size &&
		mul(c.length, size) < canonical && (index < c.length || index == 0)
	return c, ok
}

func (w *walker) channel(it *item) {
	w.compile(it.plan)
	elem := it.plan.chanElem
	if elem == nil {
		w.record(it.root, it.rank, UnknownLayout, it.addr, it.plan)
		return
	}
	w.compile(elem)
	h, ok := w.object(it, w.layout.chanSize)
	if !ok {
		return
	}
	c, ok := decodeChannel(h, elem.typ.Addr, elem.size)
	if !ok {
		w.record(it.root, it.rank, BadChan, it.addr, it.plan)
		return
	}
	if elem.size > 0 && c.buf != 0 && c.length > 0 {
		w.push(item{addr: c.buf, plan: elem, count: c.length, root: it.root, rank: it.rank})
	}
	w.waiters(it, c.receiver, false)
	w.waiters(it, c.sender, true)
}

// waiters captures the list of goroutines that wait on a channel, and what the
// senders among them want to send.
func (w *walker) waiters(it *item, first memory.Address, sends bool) {
	prev := memory.Address(0)
	for addr, n := first, 0; addr != 0; n++ {
		if n == mostWaiters || !addr.Aligned(wordBytes) || addr >= canonical {
			w.record(it.root, it.rank, BadChan, it.addr, it.plan)
			return
		}
		s, ok := w.pages.bytes(addr, w.layout.sudogSize)
		if !ok {
			w.record(it.root, it.rank, UnreadableMem, addr, it.plan)
			return
		}
		if memory.Address(le.Uint64(s[sudogPrev:])) != prev || le.Uint64(s[sudogG:]) == 0 ||
			memory.Address(le.Uint64(s[w.layout.sudogChan:])) != it.addr {
			w.record(it.root, it.rank, BadChan, it.addr, it.plan)
			return
		}
		w.stats.Values++
		if it.rank >= own && w.capture(it.root, addr, w.layout.sudogSize) < w.layout.sudogSize {
			return
		}
		if elem := memory.Address(le.Uint64(s[w.layout.sudogElem:])); sends && elem != 0 && it.plan.chanElem.size > 0 {
			w.push(item{addr: elem, plan: it.plan.chanElem, count: 1, root: it.root, rank: it.rank})
		}
		prev, addr = addr, memory.Address(le.Uint64(s[sudogNext:]))
	}
}

// closure takes a function value's code pointer, and the variables behind it
// where their layout is known.
func (w *walker) closure(it *item) {
	data, ok := w.object(it, wordBytes)
	if !ok {
		return
	}
	entry := memory.Address(le.Uint64(data))
	if !w.isText(entry) {
		w.record(it.root, it.rank, BadFunc, it.addr, it.plan)
		return
	}
	if it.rank >= own && len(w.funcs) < mostFuncs {
		w.funcs[entry] = struct{}{}
	}
	if w.cfg.Closure == nil {
		w.guessClosure(it)
		return
	}
	for _, v := range w.cfg.Closure(entry) {
		if v.Type == nil || v.Offset > chunkBytes {
			continue
		}
		// They are a part of the function value, at no extra depth.
		w.push(item{addr: it.addr.Add(v.Offset), plan: w.planOf(v.Type), count: 1, root: it.root, rank: it.rank})
	}
}

// guessBytes is how much is taken of a closure whose layout is not known, and
// of what it seems to point at.
const guessBytes = 64

// guessClosure takes the first bytes of a closure as they are, and those behind
// what could be pointers in it: variables that a function literal has captured
// have no runtime type, but debuggers know them from debug information. Where
// anything is excluded nothing is taken whose type is not known.
func (w *walker) guessClosure(it *item) {
	if w.ex.active || it.rank < own || w.image.Has(it.addr) {
		return
	}
	data, ok := w.guess(it)
	if !ok {
		return
	}
	for data = data[wordBytes:]; len(data) >= wordBytes; data = data[wordBytes:] {
		ptr := memory.Address(le.Uint64(data))
		if ptr >= lowest && ptr < canonical && !w.image.Has(ptr) && !w.code.Has(ptr) {
			w.push(item{addr: ptr, plan: w.bytePlan(), count: 1, root: it.root, rank: it.rank, kind: itemGuess})
		}
	}
}

// guess captures the guessBytes at an item, or as many as its page has.
func (w *walker) guess(it *item) ([]byte, bool) {
	size := min(guessBytes, pageSize-uint64(it.addr)&(pageSize-1))
	data, ok := w.pages.lasting(it.addr, size)
	if !ok {
		return nil, false // what looked like a pointer was none
	}
	w.stats.Values++
	return data, w.capture(it.root, it.addr, size) == size
}

// isText reports whether addr lies in the program's code, as far as is known.
func (w *walker) isText(addr memory.Address) bool {
	if len(w.code) == 0 {
		return addr >= lowest && addr < canonical
	}
	return w.code.Has(addr)
}

// weak follows a weak pointer's handle: a word that points at the value as
// long as that lives.
func (w *walker) weak(it *item) {
	w.stats.Values++
	if !it.addr.Aligned(wordBytes) {
		w.record(it.root, it.rank, BadPointer, it.addr, it.plan)
		return
	}
	data, ok := w.pages.bytes(it.addr, wordBytes)
	if !ok {
		w.record(it.root, it.rank, UnreadableMem, it.addr, it.plan)
		return
	}
	ptr := memory.Address(le.Uint64(data))
	if it.rank >= own && w.capture(it.root, it.addr, wordBytes) < wordBytes {
		return
	}
	if ptr != 0 {
		w.push(item{addr: ptr, plan: it.plan, count: 1, root: it.root, rank: it.rank})
	}
}

// trieNode follows a node of the hash trie behind sync.Map from Go 1.24 on: an
// entry or an inner node, as its first byte says.
func (w *walker) trieNode(it *item) {
	data, ok := w.pages.bytes(it.addr, 1)
	if !ok {
		w.record(it.root, it.rank, UnreadableMem, it.addr, it.plan)
		return
	}
	node := *it
	node.kind = itemValues
	switch data[0] {
	case 0: // an inner node: the type that it.plan is
	case 1:
		node.plan = it.plan.trieEntry
	default:
		w.record(it.root, it.rank, UnknownLayout, it.addr, it.plan)
		return
	}
	w.values(&node)
}
