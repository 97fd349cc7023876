package cgo

import "C"

var number C.int
