//go:build !(cgo && crashercgo)

package main

func cFault()       { panic("built without cgo") }
func cThreadFault() { panic("built without cgo") }
