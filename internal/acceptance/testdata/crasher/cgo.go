//go:build cgo && crashercgo

package main

/*
#cgo LDFLAGS: -lpthread
#include <pthread.h>
#include <unistd.h>

static void *fault(void *p) { usleep(1000); *(volatile int *)8 = 1; return p; }
static void thread(void) { pthread_t t; pthread_create(&t, 0, fault, 0); pthread_join(t, 0); }
*/
import "C"

func cFault()       { C.fault(nil) }
func cThreadFault() { C.thread() }
