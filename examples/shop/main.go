// Command shop is a small order service on loopback HTTP that makes itself a
// little load. Some twenty of its variables are annotated; asked for it, it
// writes a core of just those while it goes on running.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

//go:generate go run github.com/meminspect/meminspect/cmd/meminspect generate ./...

// A gauge is a level that remembers its highest mark.
type gauge[T int64 | float64] struct {
	now, high T
}

// limitSet is what the service allows its clients.
type limitSet struct {
	Rate struct {
		PerSecond float64
		Burst     int32
	}
	MaxBody int64
	Strict  bool
}

//meminspect:entry "note=requests answered since the start"
var served atomic.Int64

//meminspect:entry
var latency [8]uint64 // by powers of four, from 64 µs on

//meminspect:entry
var limits = limitSet{MaxBody: 64 << 10, Strict: true}

//meminspect:entry name=Draining
var draining bool

//meminspect:entry
var timeout = 5 * time.Second

var (
	//meminspect:entry
	inFlight gauge[int64]

	//meminspect:entry
	loadFactor = 0.1

	// banner is not annotated: no core holds it.
	banner = [2]uint64{0x1122334455667788, 42}
)

func init() {
	limits.Rate.PerSecond = 412.5
	limits.Rate.Burst = 50
}

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "loopback `address` to listen on")
	clients := flag.Int("clients", 4, "how many clients order at the same time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *addr, *clients)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "shop: %v\n", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr string, clients int) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		return fmt.Errorf("listening on %s: not a loopback address", listener.Addr())
	}
	server := &http.Server{Handler: newHandler(), ReadHeaderTimeout: timeout}
	url := "http://" + listener.Addr().String()
	fmt.Printf("shop: %s, pid %d, banner %#x\n", url, os.Getpid(), banner[0])
	for client := range clients {
		go order(ctx, url, uint64(client))
	}
	go func() {
		<-ctx.Done()
		draining = true
		grace, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			fmt.Fprintf(os.Stderr, "shop: shutting down: %v\n", err)
		}
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}
