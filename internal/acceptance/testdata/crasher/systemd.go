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
