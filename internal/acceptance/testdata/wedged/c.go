//go:build cgo && withcgo

package main

/*
static volatile int n;
static void spin(void) { for (;;) n++; }
*/
import "C"

func spinInC() {
	go func() { C.spin() }()
	ready()
	C.spin()
}
