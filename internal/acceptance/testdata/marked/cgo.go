//go:build cgo

package main

/*
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

extern void goPause(void);

enum { length = 20, room = 32 << 10 };

static __thread volatile char variables[4096];

// A volatile copy leaves nothing in vector registers.
static void put(volatile char *to, const volatile char *mark) {
	for (int i = 0; i < length; i++) to[i] = mark[i];
}

static void fill(volatile char *to, int size, const volatile char *mark) {
	for (int at = 0; at + length <= size; at += length) put(to + at, mark);
}

struct marks { const char *tls, *heap; };

static void *inC(void *arg) {
	fill(variables, sizeof variables, ((struct marks *)arg)->tls);
	for (;;) pause();
	return NULL;
}

static void *inGo(void *arg) {
	fill(variables, sizeof variables, ((struct marks *)arg)->tls);
	goPause();
	return NULL;
}

static void handle(int sig) { for (;;) pause(); }

// onHeap is in a signal handler on a stack on the heap, with a mark above it.
static void *onHeap(void *arg) {
	char *block = malloc(2 * room);
	fill(block + room, room, ((struct marks *)arg)->heap);
	stack_t stack = {.ss_sp = block, .ss_size = room};
	sigaltstack(&stack, NULL);
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
	sigaction(SIGUSR2, &action, NULL);
	pthread_kill(pthread_self(), SIGUSR2);
	return NULL;
}

static void plantInC(const char *tls, const char *heap, const char *freed) {
	struct marks *m = malloc(sizeof *m);
	m->tls = tls, m->heap = heap;
	fill(variables, sizeof variables, tls);
	fill(malloc(4000), 4000, heap);
	for (int i = 0; i < 8; i++) {
		char *block = malloc(400);
		fill(block, 400, freed);
		free(block);
	}
	void *(*run[])(void *) = {inC, inGo, onHeap};
	for (int i = 0; i < 3; i++) {
		pthread_t t;
		pthread_create(&t, NULL, run[i], m);
	}
}

#ifdef __x86_64__
// inVector leaves 64 bytes in a register that neither Go nor the C library uses, and
// nothing in those through which they came.
__attribute__((target("avx512f"))) static void inVector(const char *bytes) {
	__asm__ volatile("vmovdqu64 %0, %%zmm31\n\tvzeroall" : : "m"(*(const char (*)[64])bytes));
}
#else
static void inVector(const char *bytes) {}
#endif

static void *crash(void *arg) { *(volatile int *)8 = 1; return NULL; }

static void faultInC(void) {
	pthread_t t;
	pthread_create(&t, NULL, crash, NULL);
	for (;;) pause();
}
*/
import "C"

import (
	"runtime"

	"github.com/meminspect/meminspect/internal/marks"
)

//export goPause
func goPause() { pause() }

// inVectors plants a mark in a vector register of the calling thread.
func inVectors() {
	C.inVector((*C.char)(C.CBytes(append(marks.Of("vector register"), make([]byte, 64)...))))
}

func plantC() {
	runtime.LockOSThread() // the mark stays in the variables of its thread
	defer runtime.UnlockOSThread()
	C.plantInC(C.CString(string(marks.Of("C variable"))), C.CString(string(marks.Of("C heap"))), C.CString(string(marks.Of("C freed"))))
}

func fault() { C.faultInC() }
