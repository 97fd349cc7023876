//go:build !meminspect_off

package meminspect

import (
	"runtime"
	"unsafe"
	"weak"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// RegisterWeak is Register that does not keep *p alive: when the collector
// takes the object, the region is withdrawn and those who are told of changes
// hear of it. Between the two a capture finds the region gone, never another
// object that got the address. Memory that is not an object on Go's heap, a
// global variable for one, is refused with ErrNotGo.
func RegisterWeak[T any](id ID, p *T, opts ...Option) (ID, error) {
	v := &slot{kind: anchor.SlotWeak, size: sizeAt(p), typ: typeWord((*T)(nil))}
	if v.size != 0 {
		if !onHeap(unsafe.Pointer(p)) {
			return 0, &RegionError{Op: opRegister, ID: id, Err: ErrNotGo}
		}
		w := weak.Make(p)
		v.base = *(**byte)(unsafe.Pointer(&w))
	}
	id, err := register(opRegister, id, v, opts)
	if id != 0 {
		runtime.AddCleanup(p, dropRegion, collected{id, v.order})
	}
	runtime.KeepAlive(p)
	return id, err
}

// collected names a region that is to go; its slot may hold another
// by now.
type collected struct {
	id    ID
	order uint64
}

func dropRegion(gone collected) {
	var c change
	c.begin()
	for ref := reg.find(gone.id, 0); ref != 0; ref = reg.find(gone.id, ref) {
		if reg.slot(ref).order == gone.order {
			c.remove(ref)
			break
		}
	}
	// Nobody called: there is nobody to tell what a backend has against it.
	_ = c.end()
}
