//go:build !meminspect_off

package meminspect

import (
	"sync"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/internal/builtin"
)

// ringLock orders changes of the list of log rings.
var ringLock sync.Mutex

// RegisterRing tells the outside of a log ring's memory, and registers it. Its
// first argument keeps it to the packages of this module. Before the memory is
// unmapped, remove must be called.
func RegisterRing(_ builtin.Token, name string, version uint32, mem []byte) (remove func()) {
	r := &ring{name: name, version: version, data: unsafe.SliceData(mem), size: uint64(len(mem))}
	ringLock.Lock()
	r.next = root.rings.Load()
	root.rings.Store(r)
	ringLock.Unlock()

	v := &slot{kind: anchor.SlotSlice, id: ID(anchor.IDLog), base: r.data, size: r.size, typ: typeWord((*byte)(nil)), name: name}
	var c change
	c.begin()
	// What a backend has against it, and that all slots are taken, is no reason
	// not to log.
	_, _ = c.put(v)
	_ = c.end()
	return func() {
		dropRegion(collected{v.id, v.order})
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
