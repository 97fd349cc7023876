//go:build !meminspect_off

package meminspect

import (
	"runtime"
	"strings"
	"testing"
)

// A listener that ends its goroutine, as t.FailNow does, or a backend without a
// name leaves nothing locked: it and others receive the next changes.
func TestListenersThatEndTheGoroutine(t *testing.T) {
	defer withdrawAll(t)
	elsewhere := func(f func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			f()
		}()
		<-done
	}
	var x, y int64
	var heard []string
	defer Notify(func(e Event) {
		if e.Added && e.Region.Kind != KindEntry {
			heard = append(heard, e.Region.Name)
			if e.Region.Name == "quit" {
				runtime.Goexit()
			}
		}
	})()
	b := &book{name: "book"}
	attach(t, b)
	b.take()
	b.refuse = func(r Region) error {
		if r.Name == "out" {
			runtime.Goexit()
		}
		return nil
	}
	for _, name := range []string{"out", "quit", "on"} {
		elsewhere(func() { must(Register(IDDynamic, &x, Name(name))) })
	}
	if got := b.take(); got != "+quit/8 +on/8" {
		t.Errorf("the backend got %q", got)
	}
	if got := strings.Join(heard, " "); got != "out quit on" {
		t.Errorf("the notifier got %q", got)
	}

	func() {
		defer func() {
			if recover() == nil {
				t.Error("a backend that has no name was attached")
			}
		}()
		_ = Attach((*book)(nil))
	}()
	if _, err := Register(IDDynamic, &y, Name("y")); err != nil || b.take() != "+y/8" {
		t.Errorf("after them: %v", err)
	}
}
