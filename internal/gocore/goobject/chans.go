package goobject

import (
	"iter"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// Offsets in runtime.hchan. From Go 1.23 on a timer comes before the element
// type, so that the rest is a word further on.
const (
	chanCount    = 0
	chanCap      = 8
	chanElemSize = 24 // uint16
	chanClosed   = 28 // uint32
	chanElemType = 32
	// After the element type:
	chanSendIndex = 8
	chanRecvIndex = 16
	chanReceivers = 24 // the first of the goroutines that wait to receive
	chanSenders   = 40
	// chanDecoded is how many bytes hold all of these in any release.
	chanDecoded = chanElemType + 8 + chanSenders + 8
)

// chanTimer is where a channel has its timer from Go 1.23 on, 0 if it has none.
const chanTimer = 32

// Timer returns the address of the time at which the timer of a channel fires; b has the first
// Size bytes of the channel. It returns 0 if the channel has no timer, or before Go 1.23.
func (l ChanLayout) Timer(b []byte) memory.Address {
	if l.timerWhen == 0 {
		return 0
	}
	if timer := Pointer(b[chanTimer:]); timer != 0 {
		return timer.Add(l.timerWhen)
	}
	return 0
}

// ChanBuf is where a channel has the pointer to its buffer.
const ChanBuf = 16

// Offsets in runtime.sudog, which represents a goroutine that waits on a
// channel.
const (
	sudogG    = 0
	sudogNext = 8
	sudogPrev = 16
)

// A ChanLayout holds what differs between releases in channels and in the
// goroutines that wait on them.
type ChanLayout struct {
	Size      uint64 // of runtime.hchan
	SudogSize uint64 // of runtime.sudog
	sudogElem uint64
	sudogChan uint64
	sudogLink uint64 // to the next record of the same goroutine
	sudogSel  uint64 // bool
	timerWhen uint64 // in runtime.timer, 0 if channels have none
}

// ChanLayoutOf returns the layout of channels in a release. From Go 1.26 on a
// sudog has its pointers twice, the second time as plain numbers: they are
// right also when the leak detector has taken the first ones away.
func ChanLayoutOf(v module.Version) ChanLayout {
	l := ChanLayout{Size: 112, SudogSize: 104, sudogElem: 32, sudogChan: 96, sudogLink: 72, sudogSel: 60}
	if v.Minor < 26 {
		l.SudogSize, l.sudogElem, l.sudogChan, l.sudogLink, l.sudogSel = 88, 24, 80, 64, 52
	}
	switch {
	case v.Minor <= 22:
		l.Size = 96
	case v.Minor <= 24:
		l.Size, l.timerWhen = 104, 16
	default:
		l.timerWhen = 24
	}
	return l
}

// A Chan is a decoded channel.
type Chan struct {
	Buf       memory.Address
	Len, Cap  uint64 // values in the buffer, and how many it has room for
	Closed    bool
	Receivers memory.Address // the first goroutine that waits to receive, see Waiters
	Senders   memory.Address // the first that waits to send

	elemSize uint64
	first    uint64 // index of the oldest value
}

// ElemType returns the address of the type of a channel's elements; b has the
// first Size bytes of the channel.
func (l ChanLayout) ElemType(b []byte) memory.Address {
	if l.Size == 96 {
		return Pointer(b[chanElemType:])
	}
	return Pointer(b[chanElemType+memory.PtrSize:])
}

// Chan decodes the first Size bytes of a channel of elements of type elem.
func (l ChanLayout) Chan(b []byte, elem *gotypes.Type) (Chan, error) {
	if len(b) < chanDecoded {
		return Chan{}, inconsistent("a channel of %d bytes", len(b))
	}
	// The place of the element type shows the release, and that this is a channel
	// of the right type.
	typ := chanElemType
	if Pointer(b[typ:]) != elem.Addr {
		typ += memory.PtrSize
	}
	if Pointer(b[typ:]) != elem.Addr {
		return Chan{}, inconsistent("a channel of another type")
	}
	c := Chan{
		Buf:       Pointer(b[ChanBuf:]),
		Len:       le.Uint64(b[chanCount:]),
		Cap:       le.Uint64(b[chanCap:]),
		Closed:    le.Uint32(b[chanClosed:]) != 0,
		Receivers: Pointer(b[typ+chanReceivers:]),
		Senders:   Pointer(b[typ+chanSenders:]),
		elemSize:  elem.Size,
		first:     le.Uint64(b[typ+chanRecvIndex:]),
	}
	send := le.Uint64(b[typ+chanSendIndex:])
	switch {
	case c.Len > c.Cap, c.first >= max(c.Cap, 1), send >= max(c.Cap, 1):
		return Chan{}, inconsistent("%d values of %d, from %d to %d", c.Len, c.Cap, c.first, send)
	case uint64(le.Uint16(b[chanElemSize:])) != elem.Size, size(c.Cap, elem.Size) == AddressSpace:
		return Chan{}, inconsistent("%d values of %d bytes", c.Cap, le.Uint16(b[chanElemSize:]))
	}
	return c, nil
}

// Elem returns the address of the value at position i of the buffer, the
// oldest first; i must be less than Len.
func (c *Chan) Elem(i uint64) memory.Address {
	at := c.first + i
	if at >= c.Cap {
		at -= c.Cap
	}
	return c.Buf.Add(at * c.elemSize)
}

// Runs returns the values of the buffer, the oldest first, as at most two runs of
// neighbours: the address of the first one of each, and how many there are.
func (c *Chan) Runs() iter.Seq2[memory.Address, uint64] {
	return func(yield func(memory.Address, uint64) bool) {
		end := min(c.Len, c.Cap-c.first) // where the buffer begins again
		if end > 0 && !yield(c.Elem(0), end) {
			return
		}
		if c.Len > end {
			yield(c.Buf, c.Len-end)
		}
	}
}

// A Waiter is the runtime's record of a goroutine that waits on a channel, perhaps
// among others in a select statement, or in package sync.
type Waiter struct {
	memory.Range                // of the runtime.sudog
	G            memory.Address // of the goroutine's runtime.g
	Elem         memory.Address // the value to send, or where to put the value received; 0 when the value is not wanted. In package sync, what it waits for
	Chan         memory.Address // 0 in package sync
	Select       bool           // in a select statement
	next         memory.Address
	prev         memory.Address
	link         memory.Address
}

// Waiter decodes the SudogSize bytes at addr.
func (l ChanLayout) waiter(b []byte, addr memory.Address) Waiter {
	return Waiter{
		Range:  memory.RangeOf(addr, l.SudogSize),
		G:      Pointer(b[sudogG:]),
		Elem:   Pointer(b[l.sudogElem:]),
		next:   Pointer(b[sudogNext:]),
		prev:   Pointer(b[sudogPrev:]),
		link:   Pointer(b[l.sudogLink:]),
		Chan:   Pointer(b[l.sudogChan:]),
		Select: b[l.sudogSel] != 0,
	}
}

// Waiters reads the list of the goroutines that wait at one end of the channel
// at addr, from first on, in the order in which they will be served. The list
// ends with an error, which is ErrUnreadable, ErrInconsistent or ErrLimit,
// when one of them cannot be read, does not fit, or would be one more than
// limit. A Waiter with ErrUnreadable has its Range, and one with
// ErrInconsistent all fields as they are.
func (l ChanLayout) Waiters(addr, first memory.Address, read ReadFunc, limit int) iter.Seq2[Waiter, error] {
	return func(yield func(Waiter, error) bool) {
		prev := memory.Address(0)
		for at := first; at != 0; limit-- {
			w, err := l.readWaiter(at, read, limit)
			if err == nil && (w.prev != prev || w.Chan != addr || w.G == 0) {
				err = inconsistent("the goroutine at %v does not wait on the channel", w.G)
			}
			if !yield(w, err) || err != nil {
				return
			}
			prev, at = at, w.next
		}
	}
}

// readWaiter reads a record of a list, of which limit more may be read.
func (l ChanLayout) readWaiter(at memory.Address, read ReadFunc, limit int) (Waiter, error) {
	if limit <= 0 {
		return Waiter{}, ErrLimit
	}
	if !stored(at, 1, l.SudogSize) {
		return Waiter{}, inconsistent("a record of a waiting goroutine at %v", at)
	}
	b, ok := read(at, l.SudogSize)
	if !ok {
		return Waiter{Range: memory.RangeOf(at, l.SudogSize)}, ErrUnreadable
	}
	return l.waiter(b, at), nil
}

// Waits reads what the goroutine at g waits for, from the first record on, which
// its runtime.g has: the cases of a select statement, in the order in which the
// runtime locks their channels; or one channel; or, from Go 1.26 on, one semaphore or
// condition variable of package sync. It ends with an error as Waiters does.
func (l ChanLayout) Waits(first, g memory.Address, read ReadFunc, limit int) iter.Seq2[Waiter, error] {
	return func(yield func(Waiter, error) bool) {
		for at := first; at != 0; limit-- {
			w, err := l.readWaiter(at, read, limit)
			if err == nil && w.G != g {
				err = inconsistent("the record at %v is of the goroutine at %v", at, w.G)
			}
			if !yield(w, err) || err != nil || w.Chan == 0 { // records of package sync lead on to other goroutines
				return
			}
			at = w.link
		}
	}
}
