//go:build !meminspect_off && go1.28

package meminspect

import "unsafe"

// onHeap cannot tell with this toolchain, and guessing wrong would end the
// program: RegisterWeak refuses.
func onHeap(unsafe.Pointer) bool { return false }
