//go:build linux

package trigger

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/await"
)

func TestTrigger(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), strings.Repeat("long", 30))} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		partial := Answer{Path: "/cores/partial", Bytes: 5, Partial: true, Regions: 1000, Incomplete: slices.Repeat([]Region{{"name", "torn"}}, 1000)}
		stop, err := Listen(dir, 4711, func(r Request) Answer {
			if r.Reason == "no" {
				return Answer{Error: "refused"}
			}
			if r.Reason == "partial" {
				return partial
			}
			return Answer{Path: "/cores/" + r.Reason, Bytes: 5}
		})
		if err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(filepath.Join(dir, Name(4711))); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", fi, err)
		}
		if got := Programs(dir); len(got) != 1 || got[0] != 4711 {
			t.Errorf("programs %v", got)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for reason, want := range map[string]Answer{"why": {Path: "/cores/why", Bytes: 5}, "no": {Error: "refused"}, "partial": partial} {
			if a, err := Send(ctx, dir, 4711, Request{Reason: reason}); err != nil || !reflect.DeepEqual(a, want) {
				t.Errorf("%s: %+v, %v", reason, a, err)
			}
		}
		stop()
		if _, err := Send(ctx, dir, 4711, Request{}); err == nil || !strings.Contains(err.Error(), "has no supervisor") {
			t.Errorf("a closed socket answered, or does not say what to do: %v", err)
		}
		if len(Programs(dir)) != 0 {
			t.Error("the socket is left")
		}
	}
}

// Requests from before the end are answered, and a client without a request
// does not delay it.
func TestClose(t *testing.T) {
	dir := t.TempDir()
	begun, goOn := make(chan bool), make(chan bool)
	closer, err := Listen(dir, 1, func(Request) Answer {
		begun <- true
		<-goOn
		return Answer{Path: "x"}
	})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		a, err := Send(context.Background(), dir, 1, Request{})
		if err == nil && a.Path != "x" {
			err = fmt.Errorf("%+v", a)
		}
		answered <- err
	}()
	<-begun
	closed := make(chan bool)
	go func() { closer(); close(closed) }()
	goOn <- true
	<-closed
	if err := <-answered; err != nil {
		t.Error(err)
	}

	if closer, err = Listen(dir, 2, func(Request) Answer { return Answer{} }); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", filepath.Join(dir, Name(2)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("{")); err != nil { // the begin of a line
		t.Fatal(err)
	}
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	await.True(t, "the supervisor reads", func() (read bool) {
		_ = raw.Control(func(fd uintptr) {
			unread, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
			read = err == nil && unread == 0
		})
		return read
	})
	now := time.Now()
	closer()
	if took := time.Since(now); took > lineWait/2 {
		t.Errorf("a silent client held the end up for %v", took)
	}
}

// Clients that send invalid data, or nothing, do not block others.
func TestNonsense(t *testing.T) {
	dir := t.TempDir()
	stop, err := Listen(dir, 1, func(Request) Answer { return Answer{Path: "x"} })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, say := range []string{"nonsense\n", "[1]\n", strings.Repeat("x", 3*maxLine), ""} {
		conn, err := net.Dial("unix", filepath.Join(dir, Name(1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(say)); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 200)
		n, _ := conn.Read(buf)
		if !strings.Contains(string(buf[:n]), "not a request") && len(say) < maxLine {
			t.Errorf("%.20q: %s", say, buf[:n])
		}
		conn.Close()
	}
	if a, err := Send(context.Background(), dir, 1, Request{}); err != nil || a.Path != "x" {
		t.Error(a, err)
	}
}

// A socket that a client can see answers, from its first moment on, and no other
// supervisor that starts takes it for that of a dead one.
func TestListenAtOnce(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for pid := range 300 {
		seen := make(chan error)
		go func() {
			for len(Programs(dir)) == 0 && ctx.Err() == nil {
			}
			_, err := Send(ctx, dir, pid, Request{})
			sweep(dir)
			if err == nil {
				_, err = Send(ctx, dir, pid, Request{})
			}
			seen <- err
		}()
		closer, err := Listen(dir, pid, func(Request) Answer { return Answer{} })
		if err != nil {
			t.Fatal(err)
		}
		if err := <-seen; err != nil {
			t.Fatalf("round %d: %v", pid, err)
		}
		closer()
	}
}
