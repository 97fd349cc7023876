//go:build linux

// Seccomp runs its arguments under a filter that forbids to trace and to read
// other processes, as old container runtimes do.
//
// With -kill the filter kills the process, as that of systemd's SystemCallFilter= does. With
// -calls it has these system calls instead.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	kill := flag.Bool("kill", false, "kill the process instead of refusing the call")
	calls := flag.String("calls", "ptrace,process_vm_readv,process_vm_writev", "the calls, by their names")
	flag.Parse()
	if err := run(strings.Split(*calls, ","), *kill, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "seccomp:", err)
		os.Exit(70)
	}
}

var numbers = map[string]uint32{
	"kcmp":              unix.SYS_KCMP,
	"pidfd_open":        unix.SYS_PIDFD_OPEN,
	"process_vm_readv":  unix.SYS_PROCESS_VM_READV,
	"process_vm_writev": unix.SYS_PROCESS_VM_WRITEV,
	"ptrace":            unix.SYS_PTRACE,
}

func run(calls []string, kill bool, args []string) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	action := unix.SECCOMP_RET_ERRNO | uint32(syscall.EPERM)
	if kill {
		action = unix.SECCOMP_RET_KILL_PROCESS
	}
	// Load the call's number; refuse the listed ones, allow the rest.
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for i, name := range calls {
		number, ok := numbers[name]
		if !ok {
			return fmt.Errorf("system call %q is not known here", name)
		}
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jt: uint8(len(calls) - i)})
	}
	filter = append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // the filter is this thread's, and goes with exec
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return err
	}
	return syscall.Exec(path, args, os.Environ())
}
