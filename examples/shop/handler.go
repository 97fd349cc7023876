package main

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"net/http"
	"sync"
	"time"

	"github.com/meminspect/meminspect/examples/shop/orders"
	"github.com/meminspect/meminspect/examples/shop/pricing"
	"github.com/meminspect/meminspect/runtime/coreimage"
)

// work is held for reading by every order that is being handled, and for
// writing to stop changes of all variables.
var work sync.RWMutex

// book guards the annotated variables among the orders themselves.
var book sync.Mutex

// pause reports whether work is held by handlePause.
var pause struct {
	sync.Mutex
	held bool
}

func newHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", handleOrder)
	mux.HandleFunc("POST /debug/pause", handlePause)
	mux.HandleFunc("POST /debug/resume", handleResume)
	mux.HandleFunc("POST /debug/core", handleCore)
	mux.HandleFunc("GET /debug/values", handleValues)
	return mux
}

func handleOrder(w http.ResponseWriter, r *http.Request) {
	work.RLock()
	defer work.RUnlock()
	start := time.Now()
	var request orders.Request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limits.MaxBody)).Decode(&request); err != nil {
		http.Error(w, fmt.Sprintf("reading the order: %v", err), http.StatusBadRequest)
		return
	}
	book.Lock()
	defer book.Unlock()
	inFlight.now++
	inFlight.high = max(inFlight.high, inFlight.now)
	cents := pricing.Price(request.SKU, request.Quantity)
	id := orders.Place(request, cents)
	inFlight.now--
	served.Add(1)
	loadFactor = loadFactor*0.99 + float64(request.Quantity)*0.01
	latency[min(bits.Len64(uint64(time.Since(start)/(64*time.Microsecond)))/2, len(latency)-1)]++
	if id%64 == 0 {
		countFiles()
	}
	fmt.Fprintf(w, "{\"id\":%d,\"cents\":%d}\n", id, cents)
}

// handlePause lets no order on until handleResume.
func handlePause(http.ResponseWriter, *http.Request) {
	pause.Lock()
	defer pause.Unlock()
	if !pause.held {
		work.Lock()
		pause.held = true
	}
}

func handleResume(http.ResponseWriter, *http.Request) {
	pause.Lock()
	defer pause.Unlock()
	if pause.held {
		work.Unlock()
		pause.held = false
	}
}

// handleCore writes a core of this process to the file that the form names.
func handleCore(w http.ResponseWriter, r *http.Request) {
	if err := coreimage.WriteFile(r.FormValue("path")); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
