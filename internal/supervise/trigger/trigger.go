//go:build linux

// Package trigger lets a user request a capture from a supervisor, over a
// socket in the directory of cores that other users cannot reach.
//
// A client sends one line of JSON, a Request, and gets one back, an Answer.
package trigger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Request is a client's request.
type Request struct {
	Reason string `json:"reason,omitempty"`
	Heap   bool   `json:"heap,omitempty"` // record what keeps memory alive
}

// An Answer is the outcome of a request.
type Answer struct {
	Path  string `json:"path,omitempty"`
	Bytes int64  `json:"bytes,omitempty"`
	Error string `json:"error,omitempty"`

	Partial    bool     `json:"partial,omitempty"` // something is missing, unexpectedly
	Regions    int      `json:"regions,omitempty"`
	Incomplete []Region `json:"incomplete,omitempty"`
}

// A Region is one that is not complete.
type Region struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

// Limits of the protocol.
const (
	maxLine  = 4096
	lineWait = 5 * time.Second
)

// Name returns the socket's file name for a program.
func Name(pid int) string { return fmt.Sprintf(".trigger-%d.sock", pid) }

// short returns a path to a file in dir that fits into a socket's address,
// which has 107 bytes; done releases it.
func short(dir, name string) (path string, done func(), err error) {
	path = filepath.Join(dir, name)
	if len(path) <= 107 {
		return path, func() {}, nil
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, name), func() { unix.Close(fd) }, nil
}

// Listen serves requests, one after the other, until close is called. close
// returns after the requests received by then are answered.
func Listen(dir string, pid int, serve func(Request) Answer) (closer func(), err error) {
	sweep(dir)
	l, err := open(dir, Name(pid))
	if err != nil {
		return nil, fmt.Errorf("trigger socket: %w", err)
	}
	closing, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(100 * time.Millisecond) // for example, out of descriptors
				continue
			}
			answer(conn, serve, closing)
		}
	}()
	return func() {
		close(closing)
		l.Close()
		<-ended
		os.Remove(filepath.Join(dir, Name(pid)))
	}, nil
}

// open makes a socket that listens. It gets its name last: a socket that has a
// name and does not listen yet is like that of a dead supervisor, and clients
// would report that and sweep would remove it.
func open(dir, name string) (net.Listener, error) {
	path, done, err := short(dir, ".new"+name)
	if err != nil {
		return nil, err
	}
	defer done()
	os.Remove(path) // a leftover: its program had our program's ID
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // its name will be another
	err = os.Chmod(path, 0o600)                   // other users could request cores
	if err == nil {
		err = os.Rename(path, filepath.Join(dir, name))
	}
	if err != nil {
		l.Close()
		os.Remove(path)
		return nil, err
	}
	return l, nil
}

// sweep removes the sockets of supervisors that were killed.
func sweep(dir string) {
	for _, pid := range Programs(dir) {
		path, done, err := short(dir, Name(pid))
		if err != nil {
			continue
		}
		conn, err := net.DialTimeout("unix", path, time.Second)
		if errors.Is(err, unix.ECONNREFUSED) {
			os.Remove(path)
		}
		if err == nil {
			conn.Close()
		}
		done()
	}
}

func answer(conn net.Conn, serve func(Request) Answer, closing <-chan struct{}) {
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(lineWait)) // fails only on a closed connection
	asked := make(chan struct{})
	go func() {
		select {
		case <-closing:
			_ = conn.SetReadDeadline(time.Now()) // a client without a request must not delay the end
		case <-asked:
		}
	}()
	line, err := bufio.NewReader(io.LimitReader(conn, maxLine)).ReadBytes('\n')
	close(asked)
	var r Request
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	a := Answer{}
	if err != nil {
		a.Error = "not a request: " + err.Error()
	} else {
		a = serve(r)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(lineWait))
	_ = json.NewEncoder(conn).Encode(a) // the client may have gone
}

// Send sends a request to the supervisor of that program.
func Send(ctx context.Context, dir string, pid int, r Request) (Answer, error) {
	path, done, err := short(dir, Name(pid))
	if err != nil {
		return Answer{}, fmt.Errorf("trigger: %w", err)
	}
	defer done()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Answer{}, fmt.Errorf("trigger: process %d has no supervisor that keeps its cores in %s: name the directory that was given to meminspect run", pid, dir)
	case errors.Is(err, unix.ECONNREFUSED):
		return Answer{}, fmt.Errorf("trigger: the supervisor of process %d is dead", pid)
	case err != nil:
		return Answer{}, fmt.Errorf("trigger: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	data, err := json.Marshal(r)
	if err != nil {
		return Answer{}, fmt.Errorf("trigger: %w", err)
	}
	if _, err := conn.Write(append(data, '\n')); err != nil {
		return Answer{}, fmt.Errorf("trigger: %w", err)
	}
	var a Answer
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		return Answer{}, fmt.Errorf("trigger: reading the answer: %w", errors.Join(err, ctx.Err()))
	}
	return a, nil
}

// Programs lists the programs with a socket in the directory.
func Programs(dir string) []int {
	entries, _ := os.ReadDir(dir)
	var pids []int
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e.Name(), ".trigger-%d.sock", &pid); err == nil && strings.HasSuffix(e.Name(), ".sock") {
			pids = append(pids, pid)
		}
	}
	return pids
}
