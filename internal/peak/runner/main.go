//go:build linux

// Runner runs the command in its arguments and prints the most bytes it had
// resident on standard output. What the command prints goes to standard error.
package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	stderr := os.Stderr.Fd()
	pid, err := syscall.ForkExec(os.Args[1], os.Args[1:], &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, stderr, stderr}})
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(2)
	}
	var status syscall.WaitStatus
	var usage syscall.Rusage
	for {
		if _, err = syscall.Wait4(pid, &status, 0, &usage); err != syscall.EINTR {
			break
		}
	}
	if err != nil || status.ExitStatus() != 0 {
		fmt.Fprintf(os.Stderr, "runner: wait status %#x, %v\n", status, err)
		os.Exit(1)
	}
	fmt.Print(usage.Maxrss * 1024) // in KiB on Linux
}
