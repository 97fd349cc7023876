//go:build !linux

package main

func asRelay() bool { return false }

func asWitness() bool { return false }
