// Command stuck is a bank's transfer service that stops working without a word: it
// locks the two accounts of a transfer one after the other, and two transfers in
// opposite directions wait for each other for ever. Soon all workers wait for these two.
//
// The process lives, its health check answers, and its log only ends. The heartbeat of
// the workers is what meminspect run notices:
//
//	meminspect run --on-hang=kill -- stuck
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/logring"
)

//go:generate go run github.com/meminspect/meminspect/cmd/meminspect generate

// An account is a customer's.
type account struct {
	mu      sync.Mutex
	owner   string
	cents   int64
	history []transfer // the latest ones
}

// A transfer moves money.
type transfer struct {
	number    int64
	from, to  string
	cents     int64
	signature []byte
}

// accounts are all accounts, by the names of their owners.
//
//meminspect:entry
var accounts = map[string]*account{}

// done counts transfers.
//
//meminspect:entry
var done atomic.Int64

// queue has the transfers that wait for a worker.
//
//meminspect:entry
var queue = make(chan transfer, 64)

// signingKey signs the transfers for other banks. No core may have it.
//
//meminspect:exclude
var signingKey = []byte("an example of a key, which stays secret")

// alive is advanced with each transfer.
var alive *meminspect.Heartbeat

// kept is how many transfers an account remembers.
const kept = 4

// pay moves the money of one transfer, which takes as long as the other bank. Its mistake
// is the order of the locks: it depends on the direction.
func pay(t transfer, confirmation time.Duration) {
	from, to := accounts[t.from], accounts[t.to]
	from.mu.Lock()
	defer from.mu.Unlock()
	time.Sleep(confirmation)
	to.mu.Lock()
	defer to.mu.Unlock()
	from.cents -= t.cents
	to.cents += t.cents
	t.signature = sign(t)
	from.history = append(from.history, t)
	from.history = from.history[max(0, len(from.history)-kept):]
	done.Add(1)
}

func sign(t transfer) []byte {
	mac := hmac.New(sha256.New, signingKey)
	fmt.Fprintln(mac, t.number, t.from, t.to, t.cents)
	return mac.Sum(nil)
}

func worker(confirmation time.Duration) {
	for t := range queue {
		pay(t, confirmation)
		alive.Beat()
		slog.Info("transfer", "number", t.number, "from", t.from, "to", t.to, "cents", t.cents)
	}
}

func main() {
	workers := flag.Int("workers", 8, "how many transfers are under way at a time")
	confirmation := flag.Duration("confirmation", time.Millisecond, "how long the other bank takes to confirm a transfer")
	interval := flag.Duration("interval", 2*time.Millisecond, "time between two transfers")
	limit := flag.Duration("limit", time.Second, "without a transfer for so long, the service hangs")
	flag.Parse()
	slog.SetDefault(slog.New(logring.New(64 << 10).Handler(slog.NewTextHandler(io.Discard, nil))))
	names := []string{"ada", "barbara", "edsger", "grace", "ken", "niklaus", "rob", "tony"}
	for _, name := range names {
		accounts[name] = &account{owner: name, cents: 1_000_00}
	}
	health, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "stuck:", err)
		os.Exit(1)
	}
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "all is well") })
	go func() { _ = http.Serve(health, answer) }() // it ends with the process
	alive = meminspect.NewHeartbeat("transfers", *limit)
	for range *workers {
		go worker(*confirmation)
	}
	fmt.Printf("stuck: pid %d, health at http://%v\n", os.Getpid(), health.Addr())
	number := int64(0)
	for range time.Tick(*interval) {
		number++
		from := rand.IntN(len(names))
		to := (from + 1 + rand.IntN(len(names)-1)) % len(names)
		queue <- transfer{number: number, from: names[from], to: names[to], cents: 1 + rand.Int64N(10_00)}
	}
}
