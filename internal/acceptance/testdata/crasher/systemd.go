package main

import (
	"net"
	"os"
	"strconv"
)

// notify reports to systemd that the program is ready and, if it expects that of this
// process, feeds the watchdog once. Then the program hangs.
func notify() {
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		panic(err)
	}
	if _, err := conn.Write([]byte("READY=1")); err != nil {
		panic(err)
	}
	// As sd_watchdog_enabled(3) describes it.
	pid := os.Getenv("WATCHDOG_PID")
	if os.Getenv("WATCHDOG_USEC") != "" && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		if _, err := conn.Write([]byte("WATCHDOG=1")); err != nil {
			panic(err)
		}
	}
	conn.Close()
	wait()
}

// activated answers the first connection to the socket that systemd has opened for this
// process, as sd_listen_fds(3) describes it, and then panics.
func activated() {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || os.Getenv("LISTEN_FDS") != "1" {
		panic("no socket for process " + strconv.Itoa(os.Getpid()) + ": " + os.Getenv("LISTEN_PID") + ", " + os.Getenv("LISTEN_FDS"))
	}
	const first = 3
	listener, err := net.FileListener(os.NewFile(first, "systemd's"))
	if err != nil {
		panic(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		panic(err)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		panic(err)
	}
	conn.Close()
	panic("it went wrong")
}
