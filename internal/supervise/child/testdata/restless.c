// restless DELAY MODE: a program that does not hold still. Each letter of MODE
// starts a thread:
//	e  replaces the program by itself after DELAY microseconds
//	t  starts and joins threads
//	f  forks and vforks
//	x  ends the process with status 3 after DELAY microseconds
//	m  (last) has the main thread replace the program
//	l  (last) has the main thread leave, while the others live on
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char **arguments;
static int delay;

static void *idle(void *unused) { for (;;) usleep(1000); return 0; }
static void *nothing(void *unused) { return 0; }

static void *replace(void *unused) {
	if (delay) usleep(delay + rand() % (delay / 2 + 1));
	execv(arguments[0], arguments);
	perror("exec");
	_exit(9);
}

static void *threads(void *unused) {
	for (;;) {
		pthread_t t;
		if (pthread_create(&t, 0, nothing, 0) == 0) pthread_join(t, 0);
	}
}

static void *forks(void *unused) {
	for (;;) {
		pid_t p = fork();
		if (!p) _exit(0);
		waitpid(p, 0, 0);
		p = vfork();
		if (!p) _exit(0);
		waitpid(p, 0, 0);
	}
}

static void *leave(void *unused) {
	usleep(delay);
	syscall(SYS_exit_group, 3);
	return 0;
}

int main(int argc, char **argv) {
	if (argc != 3) return 64;
	arguments = argv;
	delay = atoi(argv[1]);
	srand(getpid() ^ clock() ^ time(0));
	pthread_t t;
	for (int i = 0; i < 5; i++) pthread_create(&t, 0, idle, 0);
	for (char *m = argv[2]; *m; m++) switch (*m) {
		case 'e': pthread_create(&t, 0, replace, 0); break;
		case 't': pthread_create(&t, 0, threads, 0); break;
		case 'f': pthread_create(&t, 0, forks, 0); break;
		case 'x': pthread_create(&t, 0, leave, 0); break;
		case 'm': replace(0);
		case 'l': pthread_exit(0);
	}
	for (;;) pause();
}
