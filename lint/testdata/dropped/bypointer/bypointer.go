// Package bypointer takes back what it registers by its address.
package bypointer

import "github.com/meminspect/meminspect/runtime"

var v int

func start() { meminspect.Register(meminspect.IDDynamic, &v) }

func stop() { meminspect.UnregisterPointer(&v) }
