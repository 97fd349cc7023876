//go:build !meminspect_off

package registry

import (
	"runtime"
	"testing"
	"unsafe"
	"weak"
)

func TestWeakPointerIsItsHandle(t *testing.T) {
	x := new([100]int)
	w := weak.Make(x)
	if unsafe.Sizeof(w) != unsafe.Sizeof(uintptr(0)) {
		t.Fatalf("a weak pointer has %d bytes", unsafe.Sizeof(w))
	}
	handle := *(*unsafe.Pointer)(unsafe.Pointer(&w))
	if got := *(*uintptr)(handle); got != uintptr(unsafe.Pointer(x)) {
		t.Errorf("the handle's word is %#x, the object at %p", got, x)
	}
	if strong(handle) != unsafe.Pointer(x) {
		t.Errorf("strong is %p, want %p", strong(handle), x)
	}
	runtime.KeepAlive(x)
}
