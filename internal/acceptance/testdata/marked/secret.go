//go:build goexperiment.runtimesecret

package main

import (
	"runtime/secret"
	"syscall"
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
