//go:build !meminspect_off && go1.28

package registry

import "unsafe"

// knowsHeap reports that heapObject does not work with this toolchain, where a
// wrong answer would end the program. So weak regions are refused, and ranges
// that touch merge only within the slice that they are marked through.
const knowsHeap = false

func heapObject(unsafe.Pointer) uintptr { return 0 }

// OnHeap reports false.
func OnHeap(unsafe.Pointer) bool { return false }
