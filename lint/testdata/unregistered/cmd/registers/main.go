package main

import (
	"example.com/fixture/unregistered/lib"
	"github.com/meminspect/meminspect/runtime"
)

func main() {
	meminspect.Register(lib.IDByAnother, &lib.Entry)
	meminspect.Register(lib.IDRegistered, &lib.Entry)
}
