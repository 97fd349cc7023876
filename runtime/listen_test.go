//go:build !meminspect_off

package meminspect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// A book is a backend that records its calls.
type book struct {
	name    string
	lines   []string
	refuse  func(Region) error
	panicky bool
}

func (b *book) Name() string { return b.name }

func (b *book) RegisterRegion(r Region) error {
	if b.refuse != nil {
		if err := b.refuse(r); err != nil {
			return err
		}
	}
	b.lines = append(b.lines, fmt.Sprintf("+%s/%d", r.Name, r.Size))
	if b.panicky {
		panic("boom")
	}
	return nil
}

func (b *book) UnregisterRegion(r Region) error {
	b.lines = append(b.lines, fmt.Sprintf("-%s/%d", r.Name, r.Size))
	return nil
}

func (b *book) take() string {
	s := strings.Join(b.lines, " ")
	b.lines = nil
	return s
}

func attach(t *testing.T, b *book) {
	t.Helper()
	if err := Attach(b); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Detach(b) })
}

// Attach announces all regions, Detach withdraws them, the latest first;
// several backends receive the same.
func TestBackends(t *testing.T) {
	defer withdrawAll(t)
	var x [4]int32
	must(Register(named|1, &x[0], Name("one")))
	first, late := &book{name: "first"}, &book{name: "late"}
	attach(t, first)
	if got := first.take(); got != "+one/4" {
		t.Errorf("replayed: %s", got)
	}
	if err := Attach(first); !errors.Is(err, ErrAttached) {
		t.Errorf("attached twice: %v", err)
	}
	must(RegisterSlice(named|2, x[1:3], Name("two")))
	attach(t, late)
	must(Replace(named|1, &x[3], Name("other")))
	Unregister(named | 2)
	if got := first.take(); got != "+two/8 -one/4 +other/4 -two/8" {
		t.Errorf("changes: %s", got)
	}
	if got := late.take(); got != "+one/4 +two/8 -one/4 +other/4 -two/8" {
		t.Errorf("changes of the late one: %s", got)
	}
	must(Register(named|3, &x, Name("three")))
	first.take()
	if err := Detach(first); err != nil {
		t.Error(err)
	}
	if got := first.take(); got != "-three/16 -other/4" {
		t.Errorf("detached: %s", got)
	}
	if err := Detach(first); !errors.Is(err, ErrNotAttached) {
		t.Errorf("detached twice: %v", err)
	}
	Unregister(named | 3)
	if got := first.take(); got != "" {
		t.Errorf("called after it was detached: %s", got)
	}
}

// A refusal is reported with the backend's name. The refused region stays
// registered and is not unregistered from that backend; the others are not
// affected. A panic counts as a refusal.
func TestFailingBackend(t *testing.T) {
	defer withdrawAll(t)
	full := errors.New("table is full")
	bad := &book{name: "bad", refuse: func(r Region) error {
		if r.Size == 8 {
			return full
		}
		return nil
	}}
	good := &book{name: "good"}
	attach(t, bad)
	attach(t, good)
	var x [2]int32
	var refused []Event
	stop := Notify(func(e Event) {
		if e.Err != nil {
			refused = append(refused, e)
		}
	})
	defer stop()
	id, err := Register(IDDynamic, &x, Name("pair"))
	if err != nil {
		t.Error(err)
	}
	if len(refused) != 1 || !refused[0].Added || refused[0].Region.ID != id || !errors.Is(refused[0].Err, full) ||
		refused[0].Err.Error() != "meminspect: backend bad: register "+id.String()+" (pair): table is full" {
		t.Errorf("%+v", refused)
	}
	if got := good.take(); got != "+pair/8" {
		t.Errorf("the other backend: %s", got)
	}
	if err := Unregister(id); err != nil {
		t.Error(err)
	}
	if got := bad.take(); got != "" {
		t.Errorf("withdrawn from the backend that refused it: %s", got)
	}
	bad.refuse, bad.panicky = nil, true
	refused = nil
	if _, err := Register(IDDynamic, &x); err != nil || len(refused) != 1 || !errors.Is(refused[0].Err, ErrPanic) {
		t.Errorf("a panic: %v, %+v", err, refused)
	}
}

// A notifier first receives the current regions, then every change in order,
// including its own. A panic has no effect on others.
func TestNotify(t *testing.T) {
	defer withdrawAll(t)
	var x [8]int
	must(Register(named|1, &x[1], Name("past")))
	var got []string
	stop := Notify(func(e Event) {
		got = append(got, fmt.Sprint(e.Added, e.Region.Name))
		if e.Region.Name == "asks" && e.Added {
			must(Register(named|3, &x[3], Name("answer")))
			got = append(got, "back")
		}
		if e.Region.Name == "answer" {
			panic("a notifier's own business")
		}
	})
	stopPanic := Notify(func(Event) { panic("always") })
	defer stopPanic()
	must(Register(named|2, &x[2], Name("asks")))
	Unregister(named | 1)
	stop()
	Unregister(named | 2)
	if want := []string{"truepast", "trueasks", "back", "trueanswer", "falsepast"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// While a slow notifier blocks one goroutine, others can register.
func TestSlowNotifierHoldsUpNobodyElse(t *testing.T) {
	defer withdrawAll(t)
	entered, leave := make(chan bool), make(chan bool)
	var once sync.Once
	var order []uint64
	stop := Notify(func(e Event) {
		order = append(order, e.Region.Order)
		once.Do(func() { entered <- true; <-leave })
	})
	defer stop()
	var x [20]int
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { defer wg.Done(); must(Register(IDDynamic, &x[0])) }()
	<-entered
	for i := range 10 {
		if _, err := Register(IDDynamic, &x[i]); err != nil {
			t.Error(err)
		}
	}
	leave <- true
	wg.Wait()
	if len(order) != 11 || !slices.IsSorted(order) {
		t.Errorf("%v", order)
	}
}

func TestBulk(t *testing.T) {
	defer withdrawAll(t)
	var x [4]int64
	events := 0
	stop := Notify(func(Event) { events++ })
	defer stop()
	ids, err := RegisterAll(Value(named|1, &x[0], Name("a")), Elements(IDDynamic, x[1:3]), Value(named|1, &x[3], Another()))
	if err != nil || len(ids) != 3 || ids[0] != ids[2] || events != 3 {
		t.Fatal(ids, err, events)
	}
	if _, err := RegisterAll(Value(IDDynamic, &x[0]), Value(named|1, &x[0])); !errors.Is(err, ErrRegistered) || events != 3 {
		t.Errorf("%v, %d events: all or none", err, events)
	}
	if n := registry.Count(); n != 3 {
		t.Errorf("%d regions", n)
	}
	if err := UnregisterPointer(&x[3]); err != nil {
		t.Error(err)
	}
	if r, _ := Lookup(named | 1); r.Addr() != uintptr(unsafe.Pointer(&x[0])) {
		t.Errorf("%+v", r)
	}
	if err := UnregisterRange(uintptr(unsafe.Pointer(&x)), 16); err != nil || registry.Count() != 1 {
		t.Errorf("%v, %d regions: the slice reaches out of the range", err, registry.Count())
	}
	if err := UnregisterAll(ids[1], named|5); !errors.Is(err, ErrNotRegistered) || registry.Count() != 0 {
		t.Errorf("%v, %d regions", err, registry.Count())
	}
	p, _, err := New[int32](named|6, Name("new"))
	s, _, err2 := Make[int32](named|7, 5)
	if err != nil || err2 != nil || len(s) != 5 {
		t.Fatal(err, err2)
	}
	if q, _, err := New[int32](named | 6); q != nil || !errors.Is(err, ErrRegistered) {
		t.Errorf("%v, %v", q, err)
	}
	if Free(p) != nil || FreeSlice(s) != nil || registry.Count() != 0 {
		t.Errorf("%d regions are left", registry.Count())
	}
}
