//go:build !meminspect_off && !go1.28

package registry

import "unsafe"

// knowsHeap reports that heapObject works with this toolchain.
const knowsHeap = true

// heapObject returns the address of the garbage-collected object at p, 0 if
// there is none. No exported function reports it. The Go runtime keeps the name
// and signature of runtime.findObject stable for packages that link to it.
// Untested toolchains use heap_unknown.go.
func heapObject(p unsafe.Pointer) uintptr {
	base, _, _ := findObject(uintptr(p), 0, 0)
	return base
}

//go:linkname findObject runtime.findObject
func findObject(p, refBase, refOff uintptr) (base uintptr, span unsafe.Pointer, object uintptr)

// OnHeap reports whether p points into a garbage-collected object. weak.Make
// and runtime.AddCleanup end the program for any other pointer.
func OnHeap(p unsafe.Pointer) bool { return heapObject(p) != 0 }
