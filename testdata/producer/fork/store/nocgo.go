//go:build !cgo

package store

func fromC() int { return 0 }
