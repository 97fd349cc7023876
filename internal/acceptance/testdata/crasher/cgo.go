//go:build cgo && crashercgo

package main

/*
#cgo LDFLAGS: -lpthread
#include <pthread.h>
#include <unistd.h>

static __thread volatile unsigned char secret[64];
static void *fault(void *p) {
	for (int i = 0; i < sizeof secret; i++) secret[i] = i * 37 + 11;
	usleep(1000);
	*(volatile int *)8 = 1;
	return p;
}
static void thread(void) { pthread_t t; pthread_create(&t, 0, fault, 0); pthread_join(t, 0); }
*/
import "C"

func cFault()       { C.fault(nil) }
func cThreadFault() { C.thread() }
