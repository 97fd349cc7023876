//go:build go1.24

package main

import (
	"unique"
	"weak"
)

var (
	vWeak     = weak.Make(vPtrHeap)
	vWeakGone weak.Pointer[Node]
	vUnique   = unique.Make("unique text")
)

var laterVars = []Var{{"main.vWeak", &vWeak}, {"main.vWeakGone", &vWeakGone}, {"main.vUnique", &vUnique}}
