//go:build !meminspect_off && !go1.28

package registry

import "unsafe"

// knowsHeap reports that heapObject works with this toolchain.
const knowsHeap = true

// heapObject returns the address of the object at p that the garbage collector
// manages, 0 if there is none. No exported function reports it.
// runtime.findObject is one of those whose name and signature the Go runtime
// keeps for packages that link to it. A toolchain that was not tested gets
// heap_unknown.go.
func heapObject(p unsafe.Pointer) uintptr {
	base, _, _ := findObject(uintptr(p), 0, 0)
	return base
}

//go:linkname findObject runtime.findObject
func findObject(p, refBase, refOff uintptr) (base uintptr, span unsafe.Pointer, object uintptr)

// OnHeap reports whether p points into an object that the garbage collector
// manages. weak.Make and runtime.AddCleanup end the program for any other
// pointer.
func OnHeap(p unsafe.Pointer) bool { return heapObject(p) != 0 }
