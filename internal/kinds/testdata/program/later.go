//go:build go1.24

package main

import (
	"unique"
	"weak"
)

var (
	vWeak     = weak.Make(vChain) // Go 1.24 cannot do it with memory that is not the heap's
	vWeakGone weak.Pointer[Node]
	vUnique   = unique.Make("unique text")
	vMapWeak  = map[string]weak.Pointer[Node]{"here": weak.Make(vChain), "gone": {}}
)

var laterVars = []Var{{"main.vWeak", &vWeak}, {"main.vWeakGone", &vWeakGone}, {"main.vUnique", &vUnique}, {"main.vMapWeak", &vMapWeak}}
