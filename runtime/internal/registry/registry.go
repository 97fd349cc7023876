//go:build !meminspect_off

package registry

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// maxChunks bounds the dynamic regions: 4096 chunks of 256. The directory is
// static, so a chunk is the only allocation of a registration.
const maxChunks = 4096

// A registry stores the dynamic regions in chunks of slots that an external
// process can read at any moment, and finds them by ID. Its hash table grows
// with the chunks (linear hashing: each chunk brings as many list heads as it
// has slots), so that no growth step costs more than one chunk's lists and none
// allocates. A list is a ring, and its head refers to its last slot. So adding
// a region takes constant time, however many share its ID.
//
// References to slots are indices plus one; zero is none.
type registry struct {
	mu     sync.Mutex
	dir    [maxChunks]*block
	chunks uint32
	free   uint32 // first free slot, linked through link
	order  uint64 // registrations so far
	lastID uint64 // the dynamic ID that was assigned last
}

var reg registry

// A block is a chunk with its list heads.
type block struct {
	chunk
	heads [anchor.SlotsPerChunk]uint32
}

func (g *registry) slot(ref uint32) *Slot {
	return &g.dir[(ref-1)/anchor.SlotsPerChunk].slots[(ref-1)%anchor.SlotsPerChunk]
}

func (g *registry) head(bucket uint32) *uint32 {
	return &g.dir[bucket/anchor.SlotsPerChunk].heads[bucket%anchor.SlotsPerChunk]
}

func hash(id uint64) uint32 { return uint32(id * 0x9e3779b97f4a7c15 >> 32) }

// bucket returns the list for id: the hash modulo the power of two above the
// number of lists, or below it if that list was not split yet.
func (g *registry) bucket(id uint64) uint32 {
	n := g.chunks * anchor.SlotsPerChunk
	mask := uint32(anchor.SlotsPerChunk)
	for mask < n {
		mask *= 2
	}
	b := hash(id) & (mask - 1)
	if b >= n {
		b = hash(id) & (mask/2 - 1)
	}
	return b
}

// find returns the first slot of id after the slot ref, or the first of all if
// ref is zero.
func (g *registry) find(id uint64, after uint32) uint32 {
	if g.chunks == 0 {
		return 0
	}
	last := *g.head(g.bucket(id))
	if last == 0 || last == after {
		return 0
	}
	if after == 0 {
		after = last
	}
	ref := g.slot(after).link
	for g.slot(ref).ID != id {
		if ref == last {
			return 0
		}
		ref = g.slot(ref).link
	}
	return ref
}

// grow adds a chunk. It reports false if the directory is full.
func (g *registry) grow() bool {
	if g.chunks == maxChunks {
		return false
	}
	b := new(block)
	c := g.chunks
	for i := range b.slots {
		b.slots[i].link = c*anchor.SlotsPerChunk + uint32(i) + 2
	}
	b.slots[len(b.slots)-1].link = g.free
	g.free = c*anchor.SlotsPerChunk + 1

	b.next = root.chunks.Load()
	root.chunks.Store(&b.chunk)
	g.dir[c] = b
	g.chunks++

	// Each new list takes its members from the list with the same shorter hash.
	for i := uint32(0); c > 0 && i < anchor.SlotsPerChunk; i++ {
		old := c*anchor.SlotsPerChunk + i
		half := uint32(anchor.SlotsPerChunk)
		for half*2 <= old {
			half *= 2
		}
		from := g.head(old - half)
		last := *from
		if last == 0 {
			continue
		}
		*from = 0
		next := g.slot(last).link
		for ref := uint32(0); ref != last; {
			ref, next = next, g.slot(next).link
			g.append(ref)
		}
	}
	return true
}

// put fills a free slot with v, except for seq and link, and returns it. It
// returns zero if there is no room.
func (g *registry) put(v *Slot) uint32 {
	if g.free == 0 && !g.grow() {
		return 0
	}
	ref := g.free
	s := g.slot(ref)
	g.free = s.link
	g.order++
	v.order = g.order
	g.write(s, v)
	g.append(ref)
	root.regions.Add(1)
	if v.Kind == anchor.SlotExcluded {
		excludedChanged(1)
	}
	return ref
}

// append puts a slot at the end of its list, so that regions under one ID are
// found in order of registration.
func (g *registry) append(ref uint32) {
	s := g.slot(ref)
	last := g.head(g.bucket(s.ID))
	s.link = ref
	if *last != 0 {
		before := g.slot(*last)
		s.link, before.link = before.link, ref
	}
	*last = ref
}

// drop frees a slot.
func (g *registry) drop(ref uint32) {
	s := g.slot(ref)
	last := g.head(g.bucket(s.ID))
	before := *last
	for g.slot(before).link != ref {
		before = g.slot(before).link
	}
	g.slot(before).link = s.link
	if *last == ref {
		*last = before
	}
	if before == ref {
		*last = 0
	}
	excluded := s.Kind == anchor.SlotExcluded
	g.write(s, &Slot{})
	if excluded {
		excludedChanged(-1)
	}
	s.link = g.free
	g.free = ref
	root.regions.Add(^uint64(0))
}

// write changes a slot between two increments of its sequence and of the
// anchor's: an external reader sees an odd or a changed number and retries.
func (g *registry) write(s, v *Slot) {
	root.seq.Add(1)
	atomic.AddUint32(&s.seq, 1)
	s.Kind, s.ID, s.Base, s.Addr, s.Size = v.Kind, v.ID, v.Base, v.Addr, v.Size
	s.Type, s.Name, s.Depth, s.Flags = v.Type, v.Name, v.Depth, v.Flags
	s.Budget, s.order = v.Budget, v.order
	atomic.AddUint32(&s.seq, 1)
	root.seq.Add(1)
}

// newID returns an unused dynamic ID.
func (g *registry) newID() uint64 {
	for {
		g.lastID++
		if g.lastID < anchor.FirstDynamic || g.lastID >= anchor.NamedBit {
			g.lastID = anchor.FirstDynamic
		}
		if g.find(g.lastID, 0) == 0 {
			return g.lastID
		}
	}
}

// reserve makes room for n more regions. It reports false if there is none.
func (g *registry) reserve(n int) bool {
	for uint64(g.chunks)*anchor.SlotsPerChunk-root.regions.Load() < uint64(n) {
		if !g.grow() {
			return false
		}
	}
	return true
}

func (s *Slot) region() Region {
	name := s.Name
	if name == "" {
		name = NameOf(s.ID)
	}
	return Region{
		ID: s.ID, Flags: s.Flags, Depth: int(s.Depth), Size: s.Size, Budget: s.Budget, Order: s.order, Name: name,
		Place: Place{Kind: s.Kind, base: unsafe.Pointer(s.Base), addr: s.Addr, typ: unsafe.Pointer(s.Type)},
	}
}
