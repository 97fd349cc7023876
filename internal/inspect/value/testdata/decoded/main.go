// Decoded has values whose fields show little of what they mean. It waits on its standard
// input, so that a test reads them; Wants has what the program itself prints of them.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// A Var is a row of the table: see package kinds.
type Var struct {
	Name string
	Var  any
}

// Table lists the variables.
var Table = struct {
	Magic [2]uint64
	Rows  []Var
}{Magic: [2]uint64{0x6b696e6473766172, 0x1d0c8a5f72e3b946}}

// Wants has the texts of variables, by their names in the table.
var Wants = map[string]string{}

func add(name string, v any, want string) {
	Table.Rows = append(Table.Rows, Var{name, v})
	Wants[name] = want
}

func main() {
	Table.Rows = append(Table.Rows, Var{"Wants", &Wants})
	addErrors()
	addTimers()
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
}

// addErrors adds errors as programs meet them.
func addErrors() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	listener.Close()
	_, dial := net.Dial("tcp", listener.Addr().String())
	_, open := os.Open("/does/not/exist")
	_, atoi := strconv.Atoi("twelve")
	_, look := exec.LookPath("does-not-exist")
	late, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	tcp := &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 80, Zone: "eth0"}
	for i, err := range []error{
		dial, open, atoi, look, late.Err(),
		os.Link("/does/not/exist", "/neither"),
		os.NewSyscallError("connect", syscall.ECONNREFUSED),
		&net.OpError{Op: "read", Net: "tcp", Source: tcp, Addr: &net.UDPAddr{Port: 53}, Err: os.ErrDeadlineExceeded},
		&net.OpError{Op: "listen", Source: &net.IPAddr{IP: net.IPv4(1, 2, 3, 4)}, Err: net.ErrClosed},
		&net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: "/run/a", Net: "unix"}, Err: syscall.Errno(1234)},
		&net.DNSError{Name: "db", Server: "10.0.0.2:53", Err: "no such host"},
		&net.DNSError{Name: "db", Err: "i/o timeout"},
		errors.Join(errors.New("first"), fmt.Errorf("second: %w", fs.ErrNotExist)),
		errors.Join(io.EOF),
		&url.Error{Op: "Get", URL: "http://x/\"", Err: dial},
		&fs.PathError{Op: "read", Path: "a\x1b[31m\n", Err: late.Err()},
	} {
		err := err
		add("error "+strconv.Itoa(i), &err, err.Error())
	}
}

// addTimers adds timers. Their texts are what is left of an hour, or a part of it: see
// checkDecoded.
func addTimers() {
	timer, ticker, after := time.NewTimer(time.Hour), time.NewTicker(90*time.Minute), time.AfterFunc(2*time.Hour, func() {})
	add("timer", &timer, "fires in 59m")
	add("ticker", &ticker, "fires in 1h29m, every 1h30m0s")
	add("after", &after, "fires in 1h59m")
	reset := time.NewTimer(time.Minute)
	reset.Reset(5 * time.Hour)
	add("reset", &reset, "fires in 4h59m")
	sooner := time.NewTimer(9 * time.Hour)
	sooner.Reset(3 * time.Hour)
	add("sooner", &sooner, "fires in 2h59m")
	stopped := time.NewTimer(time.Hour)
	stopped.Stop()
	add("stopped", &stopped, "stopped or fired")
	idle := time.NewTicker(time.Second)
	idle.Stop()
	add("idle", &idle, "stopped; was every 1s")
	fired := time.NewTimer(1)
	<-fired.C
	add("fired", &fired, "stopped or fired")
	add("zero", new(time.Timer), "")
	// A copy does not have what the runtime records.
	type copied struct {
		Timer time.Timer
		Words [8]uint64
	}
	add("copy", &copied{Timer: *timer, Words: [8]uint64{1, 2, 3, 4, 5, 6, 7, 8}}, "")
}
