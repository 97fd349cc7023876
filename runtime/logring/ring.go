// Package logring keeps the last log records of a program in memory that a
// core contains, like the kernel's printk buffer. An slog.Handler and an io.Writer
// write to a Ring; meminspect log prints it from a core, a running process or a
// file.
//
//	ring := logring.New(1 << 20)
//	slog.SetDefault(slog.New(ring.Handler(slog.NewTextHandler(os.Stderr, nil))))
//
// Writers take no lock and never wait. A record that fits allocates nothing. New
// records overwrite the oldest ones as a whole.
package logring

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/logring"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// A Ring holds log records.
type Ring struct {
	data     []byte // the memory after the header
	head     *atomic.Uint64
	sequence *atomic.Uint64
	longest  int // of a record
	tee      atomic.Pointer[func([]byte)]
	closed   atomic.Bool
	remove   func()
	release  func() error
}

// leastSize is the size of the smallest ring.
const leastSize = 4096

// New makes a ring of about size bytes, at least 4 KB, in the program's memory
// and registers it.
func New(size int) *Ring {
	if registry.Off {
		return &Ring{}
	}
	words := make([]uint64, max(size, leastSize)/8)
	r := newRing(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8))
	r.release = func() error { return nil }
	return r
}

// newRing lays out a ring in mem, which must be 8-byte aligned and must not
// move, and registers it. It continues an existing ring of that size.
func newRing(mem []byte) *Ring {
	word := func(off int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&mem[off])) }
	size := uint64(len(mem)-logring.HeaderSize) &^ 7
	if _, _, err := logring.Read(mem); err != nil || word(logring.OffSize).Load() != size {
		word(logring.OffMagic).Store(0)
		word(logring.OffHead).Store(0)
		word(logring.OffSequence).Store(0)
		word(logring.OffSize).Store(size)
		word(logring.OffVersion).Store(uint64(logring.Version) | logring.HeaderSize<<32)
		word(logring.OffMagic).Store(logring.Magic)
	}
	r := &Ring{
		data:     mem[logring.HeaderSize : logring.HeaderSize+size],
		head:     word(logring.OffHead),
		sequence: word(logring.OffSequence),
		longest:  int(min(size/4, 64<<10)),
	}
	r.remove = registry.AddRing("log", logring.Version, mem)
	return r
}

// Close withdraws the ring and closes the file that Open opened. Later records,
// as the program ends, are lost without harm.
func (r *Ring) Close() error {
	if registry.Off {
		return nil
	}
	if r.closed.Swap(true) {
		return nil
	}
	r.remove()
	return r.release()
}

// ErrSystem reports that this system has no shared file mappings, or is
// big-endian.
var ErrSystem = errors.New("meminspect: log ring: files are not supported on this system")

// Tee sets the function that also receives each record as a line of text. Nil
// disables it. The function is called from many goroutines at once. It must not
// log, and it must not retain line.
func (r *Ring) Tee(write func(line []byte)) {
	if registry.Off {
		return
	}
	if write == nil {
		r.tee.Store(nil)
		return
	}
	r.tee.Store(&write)
}

// A draft is a record that is being written.
type draft struct {
	b         []byte
	depth     int // number of open groups
	longest   int
	truncated bool
}

var drafts = sync.Pool{New: func() any { return &draft{b: make([]byte, 0, 1024)} }}

var zeros [logring.RecMessage]byte

func (r *Ring) draft() *draft {
	d := drafts.Get().(*draft)
	d.b = append(d.b[:0], zeros[:]...)
	d.depth, d.longest, d.truncated = 0, r.longest, false
	return d
}

// release returns the draft to the pool, unless a long record has made it
// large.
func (d *draft) release() {
	if cap(d.b) <= 4<<10 {
		drafts.Put(d)
	}
}

// commit reserves room for the draft and writes it there.
func (r *Ring) commit(d *draft, t time.Time, level int, pc uintptr, flags uint16) {
	b := d.b
	if d.truncated {
		flags |= logring.FlagTruncated
	}
	put64(b[logring.RecPosition:], 0)
	put32(b[logring.RecLength:], uint32(len(b)))
	put32(b[logring.RecChecksum:], 0)
	ns := int64(0)
	if countable(t) {
		ns = t.UnixNano()
	}
	put64(b[logring.RecTime:], uint64(ns))
	put64(b[logring.RecPC:], uint64(pc))
	put32(b[logring.RecLevel:], uint32(int32(level)))
	put32(b[logring.RecFlags:], uint32(flags))

	if !r.closed.Load() {
		room := (uint64(len(b)) + 7) &^ 7
		put64(b[logring.RecSequence:], r.sequence.Add(1))
		at := r.head.Add(room) - room
		put64(b[logring.RecPosition:], at)
		put32(b[logring.RecChecksum:], logring.Checksum(b))
		d.b = append(d.b, zeros[:room-uint64(len(b))]...)
		store(r.data, at%uint64(len(r.data)), d.b)
	}
	if tee := r.tee.Load(); tee != nil {
		line := r.draft()
		line.b = appendLine(line.b[:0], b)
		(*tee)(line.b)
		line.release()
	}
	d.release()
}

// store copies a record, padded to words, into the ring. If a writer is delayed
// after it reserved its room, another writer may have reached the same place, a
// whole ring later: both write, and the record's checksum fails. That is the
// price of not waiting.
func store(data []byte, off uint64, b []byte) {
	to, from := unsafe.Pointer(unsafe.SliceData(data)), unsafe.Pointer(unsafe.SliceData(b))
	size := uint64(len(b))
	first := min(size, uint64(len(data))-off)
	storeWords(unsafe.Add(to, off), from, first)
	if first < size {
		storeWords(to, unsafe.Add(from, first), size-first)
	}
}

// storeWords copies size bytes, a multiple of 8. It is excluded from the race
// detector, which copy would trigger.
//
//go:norace
func storeWords(to, from unsafe.Pointer, size uint64) {
	at := uint64(0)
	for ; at+32 <= size; at += 32 {
		*(*[4]uint64)(unsafe.Add(to, at)) = *(*[4]uint64)(unsafe.Add(from, at))
	}
	for ; at < size; at += 8 {
		*(*uint64)(unsafe.Add(to, at)) = *(*uint64)(unsafe.Add(from, at))
	}
}

func put64(b []byte, v uint64) { binary.LittleEndian.PutUint64(b, v) }
func put32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }
