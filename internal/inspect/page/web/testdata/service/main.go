// Command service has what the views of the page show: values of many shapes, a
// deadlock of two goroutines, a log, names that are markup, and as many goroutines and
// values as its arguments demand. It prints "ready" and waits; at SIGUSR1
// it changes a value, logs, starts a goroutine, and prints "changed".
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/logring"
)

type order struct {
	ID    int
	Name  string
	Price float64
	Next  *order
}

type state struct {
	A, B     sync.Mutex
	Orders   map[string]*order
	Lists    [][]order
	Any      any
	Self     *state
	Started  time.Time
	Markup   string
	Channel  chan int
	Shutdown <-chan struct{}
	Timeout  time.Duration
	Err      error
}

var service = &state{Orders: map[string]*order{}, Channel: make(chan int, 3), Started: time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)}

const markup = `</script><script>document.title='owned'</script><img src=x onerror="document.title='owned'">`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	goroutines, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	lists, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	service.Orders["ada"] = &order{1, "lamp", 9.5, &order{2, "chair", 20, nil}}
	service.Orders[markup] = &order{3, markup, 0, nil}
	service.Self, service.Any, service.Markup = service, order{4, "any", 1, nil}, markup
	service.Channel <- 7
	service.Timeout, service.Err = 90*time.Second, fmt.Errorf("no lamp: %w", os.ErrNotExist)
	for i := range lists {
		list := make([]order, 1000)
		for k := range list {
			list[k] = order{ID: i*1000 + k, Name: "order " + strconv.Itoa(k%97), Price: float64(k) / 4}
		}
		service.Lists = append(service.Lists, list)
	}
	if _, err := meminspect.Register(meminspect.IDDynamic, service, meminspect.Name("service"), meminspect.Budget(64<<20), meminspect.InSummary()); err != nil {
		return err
	}
	if _, err := meminspect.Register(meminspect.IDDynamic, &service.Markup, meminspect.Name(markup), meminspect.Another()); err != nil {
		return err
	}
	ring := logring.New(64 << 10)
	log := slog.New(ring.Handler(nil))
	log.Info("started", "goroutines", goroutines)
	log.Warn(markup, markup, markup)
	log.Error("it went wrong", "code", 7)
	var ready, locked sync.WaitGroup
	locked.Add(2)
	go deadlock(&service.A, &service.B, &locked)
	go deadlock(&service.B, &service.A, &locked)
	ctx := context.Background()
	for i := range goroutines {
		ready.Add(1)
		switch i % 3 {
		case 0:
			go receive(ctx, &ready)
		case 1:
			go nested(ctx, i%23, &ready)
		default:
			go sleep(&ready)
		}
	}
	ready.Wait()
	locked.Wait()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	fmt.Println("ready")
	for range signals { // something changes
		service.Orders["ada"].Price++
		log.Info("changed")
		ready.Add(1)
		go sleep(&ready)
		ready.Wait()
		fmt.Println("changed")
	}
	return nil
}

//go:noinline
func deadlock(first, second *sync.Mutex, locked *sync.WaitGroup) {
	first.Lock()
	defer first.Unlock()
	locked.Done()
	locked.Wait()
	second.Lock()
	defer second.Unlock()
}

//go:noinline
func receive(ctx context.Context, ready *sync.WaitGroup) {
	ready.Done()
	<-make(chan int)
	<-ctx.Done()
}

//go:noinline
func nested(ctx context.Context, depth int, ready *sync.WaitGroup) {
	if depth > 0 {
		nested(ctx, depth-1, ready)
		return
	}
	receive(ctx, ready)
}

//go:noinline
func sleep(ready *sync.WaitGroup) {
	ready.Done()
	time.Sleep(time.Hour)
}
