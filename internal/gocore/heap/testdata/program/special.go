//go:build go1.24

package main

import (
	"runtime"
	"strconv"
	"weak"
)

var pointers []weak.Pointer[session]

// special makes cleanups and weak pointers.
func special() {
	for i := 0; i < 10; i++ {
		s := sessions[i]
		pointers = append(pointers, weak.Make(s))
		runtime.AddCleanup(s, func(s *string) {}, &[]string{"cleanup " + strconv.Itoa(i)}[0])
	}
}
