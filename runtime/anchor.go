// Package meminspect is what a program embeds: a static anchor from which
// everything that the program marked for inspection can be found, also by a
// process outside and also when the program is dead. It starts no goroutine
// and no timer, imports the standard library alone, and does nothing at start
// but link the tables that generated code declares.
package meminspect

import (
	"sync/atomic"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// anchorData is what the outside finds by its magic. Its layout is package
// anchor's.
type anchorData struct {
	magic      [2]uint64
	version    uint32
	ptrSize    uint32
	seq        atomic.Uint64
	tables     atomic.Pointer[Table]
	chunks     atomic.Pointer[chunk]
	regions    atomic.Uint64
	heartbeats atomic.Pointer[Heartbeat]
	rings      atomic.Pointer[ring]
	crashFD    atomic.Int64
	snapshots  atomic.Uint64
	reason     string
	_          [3]uint64
}

var root = anchorData{
	magic:   [2]uint64{anchor.AnchorMagic0, anchor.AnchorMagic1},
	version: anchor.AnchorVersion,
	ptrSize: 4 << (^uintptr(0) >> 63),
}

// A Heartbeat is a counter that the program must move.
type Heartbeat struct {
	next  *Heartbeat
	name  string
	limit int64
	count atomic.Uint64
	state atomic.Uint32
}

// A ring describes a log ring's memory.
type ring struct {
	next    *ring
	name    string
	version uint32
	data    *byte
	size    uint64
}

// A chunk holds dynamic regions.
type chunk struct {
	next  *chunk
	slots [anchor.SlotsPerChunk]slot
}

// A slot is one dynamic region, or free.
type slot struct {
	seq    atomic.Uint32
	kind   uint32
	id     ID
	base   *byte
	addr   uint64
	size   uint64
	typ    *byte
	name   string
	depth  int32
	flags  uint32
	budget uint64
	order  uint64
	link   uint32 // of the registry's lists; nothing to the outside
	_      uint32
}
