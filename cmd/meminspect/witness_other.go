//go:build !linux

package main

func asWitness() bool { return false }
