//go:build !cgo || !withcgo

package main

func spinInC() { panic("built without cgo") }
