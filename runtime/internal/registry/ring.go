//go:build !meminspect_off

package registry

import (
	"sync"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// ringLock serializes changes of the list of log rings.
var ringLock sync.Mutex

// AddRing publishes the memory of a log ring and registers it. Call remove
// before the memory is unmapped.
func AddRing(name string, version uint32, mem []byte) (remove func()) {
	r := &ring{name: name, version: version, data: unsafe.SliceData(mem), size: uint64(len(mem))}
	ringLock.Lock()
	r.next = root.rings.Load()
	root.rings.Store(r)
	ringLock.Unlock()

	v := &Slot{Kind: anchor.SlotSlice, ID: anchor.IDLog, Base: r.data, Size: r.size, Type: TypeWord((*byte)(nil)), Name: name}
	var c change
	c.begin()
	// A full registry must not prevent logging: readers find the ring without it.
	_, _ = c.put(v)
	c.end()
	return func() {
		Drop(v.Registration())
		r.remove()
	}
}

func (r *ring) remove() {
	ringLock.Lock()
	defer ringLock.Unlock()
	if root.rings.Load() == r {
		root.rings.Store(r.next)
		return
	}
	for at := root.rings.Load(); at != nil; at = at.next {
		if at.next == r {
			at.next = r.next
			return
		}
	}
}
