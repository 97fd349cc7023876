// Package registry keeps the registered regions of a program in plain memory
// that another process can read without help: the linked tables, the dynamic
// regions, the heartbeats and the log rings, all reachable from one static
// anchor. The layout of that memory is that of package format/anchor, which a
// test checks field by field.
//
// The public packages of the module are views of this one. Package meminspect
// registers regions and attaches backends, package meminspectimpl links the
// tables of generated code, and the packages that describe the program as a
// whole (coreimage, minidump, vmcoreinfo, logring) register regions under
// reserved IDs.
//
// With the build tag meminspect_off there is no anchor, and the functions do
// nothing.
package registry

import (
	"sync/atomic"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// anchorData is what an external process finds by its magic.
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
	tags       atomic.Pointer[[anchor.MaxTags]tag]
	_          [2]uint64
}

// A Heartbeat is a counter that the program must advance.
type Heartbeat struct {
	next  *Heartbeat
	name  string
	limit int64
	count atomic.Uint64
	state atomic.Uint32
}

// A ring describes the memory of a log ring.
type ring struct {
	next    *ring
	name    string
	version uint32
	data    *byte
	size    uint64
}

// A tag is a fact that the program sets about itself, in plain memory.
type tag struct {
	state   atomic.Uint32 // 0 = free; bit 0 selects the current value
	keySize uint32
	sizes   [2]uint32
	key     [anchor.MaxTagKey]byte
	values  [2][anchor.MaxTagValue]byte
}

// A chunk contains dynamic regions.
type chunk struct {
	next  *chunk
	slots [anchor.SlotsPerChunk]Slot
}

// A Slot is one dynamic region, or free. Callers of [Add] set the exported
// fields.
type Slot struct {
	seq    uint32 // atomic, odd while the slot changes
	Kind   uint32
	ID     uint64
	Base   *byte
	Addr   uint64
	Size   uint64
	Type   *byte
	Name   string
	Depth  int32
	Flags  uint32
	Budget uint64
	order  uint64
	link   uint32 // link in the registry's lists; external readers ignore it
	_      uint32
}
