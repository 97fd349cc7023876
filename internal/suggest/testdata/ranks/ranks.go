// Package ranks has state that changes while the program serves, and state that
// only its start changes, in functions that another package may call at any time.
package ranks

import "net/http"

type hooks struct{ list []func() error }

func (h *hooks) add(f func() error) { h.list = append(h.list, f) }

func (h *hooks) run() {
	for _, f := range h.list {
		_ = f()
	}
}

var (
	atStart  = &hooks{}         // want entry "state that 2 functions change"
	visitors = map[string]int{} // want entry "map that ServeHTTP changes in requests or loops"
)

// OnStartup is called by plugins.
func OnStartup(f func() error) { callbacks <- f }

var callbacks = make(chan func() error, 1) // want entry "channel"

// Setup prepares the service.
func Setup() {
	atStart.add(func() error { return nil })
	OnStartup(func() error { atStart.add(nil); return nil })
	go func() { (<-callbacks)() }()
	go atStart.run()
}

// Handler counts.
type Handler struct{}

func (Handler) ServeHTTP(_ http.ResponseWriter, r *http.Request) { visitors[r.URL.Path]++ }
