package main

import (
	"example.com/fixture/unregistered/lib"
	"github.com/meminspect/meminspect/runtime"
)

func main() {
	meminspect.Register(lib.IDRegistered, &lib.Entry)
	meminspect.Unregister(lib.IDForgotten)
}
