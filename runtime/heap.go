//go:build !meminspect_off && !go1.28

package meminspect

import "unsafe"

// onHeap reports whether p points into an object that the garbage collector
// manages. weak.Make and AddCleanup end the program for any other pointer, and
// no exported function tells. runtime.findObject is one of those whose name and
// signature the Go runtime keeps for packages that link to it; a toolchain that
// was not tried gets heap_unknown.go.
func onHeap(p unsafe.Pointer) bool {
	base, _, _ := findObject(uintptr(p), 0, 0)
	return base != 0
}

//go:linkname findObject runtime.findObject
func findObject(p, refBase, refOff uintptr) (base uintptr, span unsafe.Pointer, object uintptr)
