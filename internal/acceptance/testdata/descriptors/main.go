// Command descriptors waits for descriptors of every kind. It writes a line for each to the
// file that is its first argument: the function that waits, what it does, the descriptor, and
// what that is. Then it prints "ready". With the argument "shut" it has closed its listener
// before, like a server that shuts down; with "mainless" it ends its main thread then. The file with ".clients" at the end of its name has
// the addresses of its clients.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

var (
	table, addresses bytes.Buffer
	kept             []any // collected, they would be closed
)

// conn is what all have that is waited for.
type conn interface {
	SyscallConn() (syscall.RawConn, error)
}

func add(function, action string, c conn, name string) {
	raw, err := c.SyscallConn()
	check(err)
	check(raw.Control(func(fd uintptr) { fmt.Fprintf(&table, "main.%s %s %d %s\n", function, action, fd, name) }))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

//go:noinline
func accept(l net.Listener) {
	c, err := l.Accept()
	fmt.Println(c, err)
}

//go:noinline
func receive(c interface{ Read([]byte) (int, error) }) {
	n, err := c.Read(make([]byte, 100))
	fmt.Println(n, err)
}

//go:noinline
func send(c net.Conn) {
	for {
		_, err := c.Write(make([]byte, 1<<20))
		check(err)
	}
}

func init() { runtime.LockOSThread() } // main runs on the main thread

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	port := listener.Addr().(*net.TCPAddr).Port
	// A client that is not bound may get the local port of another program's connection to another
	// address. Then nothing tells that it is a client.
	bound := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	dial := func() (client, served conn) {
		c, err := bound.Dial("tcp", listener.Addr().String())
		check(err)
		s, err := listener.Accept()
		check(err)
		fmt.Fprintln(&addresses, s.RemoteAddr())
		kept = append(kept, c, s)
		return c.(conn), s.(conn)
	}
	to, clients := fmt.Sprintf("TCP to 127.0.0.1:%d", port), fmt.Sprintf("TCP from clients of port %d", port)
	shut := len(os.Args) > 2 && os.Args[2] == "shut"
	if shut {
		clients = "TCP connection"
	}

	reader, served := dial()
	add("receive", "receive", reader, to)
	add("receive", "receive", served, clients)
	go receive(reader.(net.Conn))
	go receive(served.(net.Conn))

	full, _ := dial() // the other end reads nothing
	add("send", "send", full, to)
	go send(full.(net.Conn))

	both, _ := dial()
	add("receive", "receive", both, to)
	add("send", "send", both, to)
	go receive(both.(net.Conn))
	go send(both.(net.Conn))

	if shut {
		check(listener.Close())
	} else {
		add("accept", "wait", listener.(conn), fmt.Sprintf("TCP 127.0.0.1:%d, listening", port))
		go accept(listener)
	}

	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(err)
	for bytes.Contains(addresses.Bytes(), []byte(udp.LocalAddr().String())) { // UDP may get the port of a client
		kept = append(kept, udp)
		udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		check(err)
	}
	add("receive", "receive", udp, "UDP "+udp.LocalAddr().String())
	go receive(udp)

	path := filepath.Join(filepath.Dir(os.Args[1]), "unix socket")
	unix, err := net.Listen("unix", path)
	check(err)
	add("accept", "receive", unix.(conn), "UNIX "+path)
	go accept(unix)

	pipe, writer, err := os.Pipe()
	check(err)
	add("receive", "receive", pipe, "pipe")
	go receive(pipe)

	for stacks := make([]byte, 1<<20); ; time.Sleep(time.Millisecond) {
		if bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("[IO wait")) == bytes.Count(table.Bytes(), []byte("\n")) {
			break
		}
	}
	check(os.WriteFile(os.Args[1], table.Bytes(), 0o600))
	check(os.WriteFile(os.Args[1]+".clients", addresses.Bytes(), 0o600))
	fmt.Println("ready")
	if len(os.Args) > 2 && os.Args[2] == "mainless" {
		syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
	}
	time.Sleep(time.Hour)
	runtime.KeepAlive(writer)
	runtime.KeepAlive(kept)
}
