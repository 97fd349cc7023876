package cgo

// want +2 `meminspect_gen.go is missing: run meminspect generate`
//
//meminspect:entry
var sessions map[string]int
