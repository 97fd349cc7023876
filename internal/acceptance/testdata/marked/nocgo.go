//go:build !cgo

package main

import "syscall"

func plantC() {}

func inVectors() {}

func fault() { end(syscall.SIGSEGV) }
