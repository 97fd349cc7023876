//go:build cgo && withcgo

package main

/*
#include <unistd.h>
static void nap(void) { sleep(3600); }
static volatile int n;
static void spin(void) { for (;;) n++; }
*/
import "C"

func goC() {
	go func() { C.nap() }()
	go deep(5, func() { C.spin() })
}
