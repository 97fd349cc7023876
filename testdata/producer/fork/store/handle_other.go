//go:build !linux && !windows

package store

//meminspect:entry
var handle int
