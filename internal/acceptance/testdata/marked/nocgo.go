//go:build !cgo

package main

import "syscall"

func plantC() {}

func fault() { end(syscall.SIGSEGV) }
