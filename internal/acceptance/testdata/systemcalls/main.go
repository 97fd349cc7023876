// Command systemcalls has goroutines in system calls of several kinds. It writes a line for
// each to the file that is its first argument: the function that is in the call, the descriptor, or
// -1, the call and what it is about. Then it prints "ready". The second argument is
// what the file system of the first one is, the third that of /dev/shm.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

var table bytes.Buffer

func add(function string, fd int, call string) {
	fmt.Fprintf(&table, "main.%s %d system call %s\n", function, fd, call)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

//go:noinline
func read(fd int) {
	n, err := syscall.Read(fd, make([]byte, 1))
	fmt.Println(n, err)
}

//go:noinline
func write(fd int) {
	for {
		_, err := syscall.Write(fd, make([]byte, 1<<16))
		check(err)
	}
}

//go:noinline
func lock(fd int) {
	check(syscall.Flock(fd, syscall.LOCK_EX))
}

//go:noinline
func accept(fd int) {
	_, _, err := syscall.Accept4(fd, 0)
	check(err)
}

//go:noinline
func open(name string) {
	_, err := syscall.Open(name, syscall.O_RDONLY, 0)
	check(err)
}

//go:noinline
func sleep() {
	for {
		until := syscall.Timespec{Sec: 1 << 20}
		syscall.Syscall6(syscall.SYS_CLOCK_NANOSLEEP, 0, 0, uintptr(unsafe.Pointer(&until)), 0, 0, 0)
	}
}

//go:noinline
func wait(c *exec.Cmd) {
	check(c.Wait())
}

func pipe() (reader, writer int) {
	var fds [2]int
	check(syscall.Pipe2(fds[:], syscall.O_CLOEXEC))
	return fds[0], fds[1]
}

func main() {
	reader, _ := pipe()
	add("read", reader, "read: pipe")
	go read(reader)

	_, writer := pipe()
	add("write", writer, "write: pipe")
	go write(writer)

	held, err := os.Create(filepath.Join(filepath.Dir(os.Args[1]), "a secret name"))
	check(err)
	check(syscall.Flock(int(held.Fd()), syscall.LOCK_EX))
	file, err := os.Open(held.Name())
	check(err)
	add("lock", int(file.Fd()), "flock: file of "+os.Args[2])
	go lock(int(file.Fd()))

	shared, err := os.CreateTemp("/dev/shm", "a secret name") // no device
	check(err)
	check(syscall.Flock(int(shared.Fd()), syscall.LOCK_EX))
	again, err := os.Open(shared.Name())
	check(err)
	check(os.Remove(shared.Name()))
	add("lock", int(again.Fd()), "flock: file of "+os.Args[3])
	go lock(int(again.Fd()))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	socket, err := listener.(*net.TCPListener).File() // it blocks
	check(err)
	check(syscall.SetNonblock(int(socket.Fd()), false))
	add("accept", int(socket.Fd()), fmt.Sprintf("accept4: TCP %v, listening", listener.Addr()))
	go accept(int(socket.Fd()))

	fifo := filepath.Join(filepath.Dir(os.Args[1]), "fifo")
	check(syscall.Mkfifo(fifo, 0o600))
	add("open", -1, "openat")
	go open(fifo)

	add("sleep", -1, "clock_nanosleep")
	go sleep()

	child := exec.Command("cat") // ends with this process
	stdin, err := child.StdinPipe()
	check(err)
	check(child.Start())
	add("wait", childDescriptor(), fmt.Sprintf("waitid: process %d (cat)", child.Process.Pid))
	go wait(child)

	calls := bytes.Count(table.Bytes(), []byte("\n"))
	for stacks := make([]byte, 1<<20); ; time.Sleep(time.Millisecond) {
		if bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("[syscall")) >= calls && blocked() >= calls {
			break
		}
	}
	check(os.WriteFile(os.Args[1], table.Bytes(), 0o600))
	fmt.Println("ready")
	time.Sleep(time.Hour)
	runtime.KeepAlive([]any{held, file, shared, again, socket, listener, stdin})
}

// childDescriptor returns the descriptor of the child, by which releases wait since Go 1.23,
// or -1.
func childDescriptor() int {
	for fd := 0; fd < 1000; fd++ {
		if link, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); link == "anon_inode:[pidfd]" {
			return fd
		}
	}
	return -1
}

// blocked returns the number of threads that block in a system call other than those of the
// runtime's scheduler: futex, epoll_pwait, nanosleep.
func blocked() (n int) {
	files, err := filepath.Glob("/proc/self/task/*/syscall")
	check(err)
	for _, file := range files {
		text, _ := os.ReadFile(file)
		f := strings.Fields(string(text))
		if len(f) != 9 {
			continue
		}
		switch number, _ := strconv.Atoi(f[0]); number {
		case syscall.SYS_FUTEX, syscall.SYS_EPOLL_PWAIT, syscall.SYS_NANOSLEEP:
		default:
			n++
		}
	}
	return n
}
