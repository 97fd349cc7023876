//go:build go1.24

package main

import (
	"iter"
	"runtime"
)

func newer() {
	go func() {
		next, _ := iter.Pull(func(yield func(int) bool) { yield(1); mutex.Lock() })
		next()
		next()
	}()
	runtime.AddCleanup(new(object), func(int) { <-make(chan int) }, 1)
}
