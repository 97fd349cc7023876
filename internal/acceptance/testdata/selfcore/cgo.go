//go:build cgo && withcgo

package main

// int answer(void) { return 42; }
import "C"

func init() { empty = int64(C.answer()) }
