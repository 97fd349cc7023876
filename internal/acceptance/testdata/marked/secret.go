//go:build goexperiment.runtimesecret

package main

import (
	"fmt"
	"runtime/secret"
	"syscall"
	"unsafe"
)

// init adds ends of a goroutine under package runtime/secret.
func init() {
	actions["secret-signal"] = func() {
		secret.Do(func() { check(newPin(), func(pin) { end(syscall.SIGQUIT) }) })
	}
	actions["secret-fault"] = func() {
		secret.Do(func() { check(newPin(), read) })
	}
}

// read reads from an address that follows from the pin, which no program has mapped.
//
//go:noinline
func read(p pin) {
	address := uintptr(p) >> 17
	fmt.Println(*(*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&address))))
}
