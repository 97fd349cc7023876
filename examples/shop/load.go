package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/meminspect/meminspect/examples/shop/orders"
)

// order sends orders, one after the other, until ctx ends. A failed one is
// sent again as another: the service may be draining.
func order(ctx context.Context, url string, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 20))
	client := &http.Client{Timeout: timeout}
	for ctx.Err() == nil {
		body, err := json.Marshal(orders.Request{SKU: uint32(random.IntN(500)), Quantity: int16(1 + random.IntN(9))})
		if err != nil {
			return
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/orders", bytes.NewReader(body))
		if err != nil {
			return
		}
		if response, err := client.Do(request); err == nil {
			_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
			response.Body.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(random.IntN(2000)) * time.Microsecond):
		}
	}
}
