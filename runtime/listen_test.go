//go:build !meminspect_off

package meminspect

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// A book is a backend that writes down what it is told.
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

// Attaching replays, detaching withdraws, the latest first; several backends
// hear the same.
func TestBackends(t *testing.T) {
	defer clear(t)
	var x [4]int32
	Register(named|1, &x[0], Name("one"))
	first, late := &book{name: "first"}, &book{name: "late"}
	attach(t, first)
	if got := first.take(); got != "+one/4" {
		t.Errorf("replayed: %s", got)
	}
	if err := Attach(first); !errors.Is(err, ErrAttached) {
		t.Errorf("attached twice: %v", err)
	}
	RegisterSlice(named|2, x[1:3], Name("two"))
	attach(t, late)
	Replace(named|1, &x[3], Name("other"))
	Unregister(named | 2)
	if got := first.take(); got != "+two/8 -one/4 +other/4 -two/8" {
		t.Errorf("changes: %s", got)
	}
	if got := late.take(); got != "+one/4 +two/8 -one/4 +other/4 -two/8" {
		t.Errorf("changes of the late one: %s", got)
	}
	Register(named|3, &x, Name("three"))
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
		t.Errorf("told after it was detached: %s", got)
	}
}

// What a backend refuses is reported with its name, stands all the same, and is
// not withdrawn from it; the others go on. A panic is a refusal.
func TestFailingBackend(t *testing.T) {
	defer clear(t)
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
	id, err := Register(IDDynamic, &x, Name("pair"))
	var be *BackendError
	if id == 0 || !errors.Is(err, full) || !errors.As(err, &be) || be.Backend != "bad" || be.ID != id || be.Name != "pair" {
		t.Errorf("%v, %v", id, err)
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
	if _, err := Register(IDDynamic, &x); !errors.Is(err, ErrPanic) {
		t.Errorf("a panic: %v", err)
	}
}

// A notifier hears the past first, then every change in order, its own too; a
// panic harms nobody.
func TestNotify(t *testing.T) {
	defer clear(t)
	var x [8]int
	Register(named|1, &x[1], Name("past"))
	var got []string
	stop := Notify(func(e Event) {
		got = append(got, fmt.Sprint(e.Added, e.Region.Name))
		if e.Region.Name == "asks" && e.Added {
			Register(named|3, &x[3], Name("answer"))
			got = append(got, "back")
		}
		if e.Region.Name == "answer" {
			panic("a notifier's own business")
		}
	})
	stopPanic := Notify(func(Event) { panic("always") })
	defer stopPanic()
	Register(named|2, &x[2], Name("asks"))
	Unregister(named | 1)
	stop()
	Unregister(named | 2)
	if want := []string{"truepast", "trueasks", "back", "trueanswer", "falsepast"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// While one goroutine is held up in a slow notifier, others register on.
func TestSlowNotifierHoldsUpNobodyElse(t *testing.T) {
	defer clear(t)
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
	go func() { defer wg.Done(); Register(IDDynamic, &x[0]) }()
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

type secretText struct{ bytes [16]byte }

type account struct {
	ID     int64
	Secret secretText
	Name   string
	Pin    int64
	More   [2]struct{ S secretText }
}

type box[T any] struct {
	Label int64
	Value T
}

// Regions come without what exclusions take from them: excluded types, fields,
// generic ones, variables, memory named at run time; and memory of no known
// type comes not at all where any exclusion stands.
func TestExclusions(t *testing.T) {
	defer clear(t)
	var hidden struct{ A, B, C int64 }
	table := &Table{
		Magic: [2]uint64{TableMagic0, TableMagic1}, Version: TableVersion, Package: "example.com/p",
		Exclusions: []Exclusion{
			{Kind: ExcludeType, Var: (*secretText)(nil), Package: "p", Type: "secretText"},
			{Kind: ExcludeField, Var: (*account)(nil), Offset: uint64(unsafe.Offsetof(account{}.Pin)), Size: 8, Package: "p", Type: "account", Field: "Pin"},
			{Kind: ExcludeGenericField, Package: reflect.TypeFor[box[int]]().PkgPath(), Type: "box", Field: "Value"},
			{Kind: ExcludeVariable, Var: &hidden.B, Package: "p", Type: "hidden.B"},
		},
	}
	spans := func(r Region) (s []uint64) {
		for _, e := range r.Excluded() {
			s = append(s, e.Offset, e.Size)
		}
		return s
	}
	foreign, _ := RegisterForeign(IDDynamic, uintptr(unsafe.Pointer(&global[0])), 8)
	if r, _ := Lookup(foreign); len(r.Excluded()) != 0 {
		t.Errorf("without exclusions: %v", r.Excluded())
	}
	before := root.tables.Load()
	Link(table)
	defer func() {
		root.tables.Store(before)
		excludedChanged(-len(table.Exclusions))
	}()

	var acc account
	var accs [3]account
	var b box[int32]
	size := uint64(unsafe.Sizeof(acc))
	one := []uint64{8, 16, 40, 8 + 32} // Secret; Pin and More touch
	var three []uint64
	for i := range uint64(3) {
		three = append(three, 8+i*size, 16, 40+i*size, 40)
	}
	id := func(id ID, err error) ID {
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	bytes := make([]byte, 64)
	exclusion := id(ExcludeSlice(bytes[10:20]))
	for _, c := range []struct {
		name string
		id   ID
		want []uint64
	}{
		{"struct", id(Register(IDDynamic, &acc)), one},
		{"array", id(Register(IDDynamic, &accs)), three},
		{"slice", id(RegisterSlice(IDDynamic, accs[:])), three},
		{"generic", id(Register(IDDynamic, &b)), []uint64{8, 4}},
		{"variable", id(Register(IDDynamic, &hidden)), []uint64{8, 8}},
		{"at run time", id(RegisterSlice(IDDynamic, bytes[5:])), []uint64{5, 10}},
		{"string", id(RegisterString(IDDynamic, "text")), nil},
		{"foreign", foreign, []uint64{0, 8}},
		{"type itself", id(Register(IDDynamic, &acc.Secret)), []uint64{0, 16}},
	} {
		r, _ := Lookup(c.id)
		if got := spans(r); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		// Parts and excluded spans make up the whole.
		sum := uint64(0)
		for _, e := range r.Excluded() {
			sum += e.Size
		}
		for _, p := range r.Parts() {
			sum += p.Size
			if len(c.want) > 0 && p.Type() != nil {
				t.Errorf("%s: a part is said to be a %v", c.name, p.Type())
			}
		}
		if sum != r.Size {
			t.Errorf("%s: parts and holes have %d bytes of %d", c.name, sum, r.Size)
		}
	}

	// A backend hears of parts, and again when an exclusion comes or goes.
	clear(t)
	Register(IDDynamic, &hidden, Name("h"))
	keeper := &book{name: "keeper"}
	attach(t, keeper)
	if got := keeper.take(); got != "+h/8 +h/8" {
		t.Errorf("parts: %s", got)
	}
	again := id(Exclude(&hidden.C))
	if got := keeper.take(); got != "-h/8 -h/8 +h/8" {
		t.Errorf("an exclusion came: %s", got)
	}
	if err := Unregister(again); err != nil {
		t.Error(err)
	}
	if got := keeper.take(); got != "-h/8 +h/8 +h/8" {
		t.Errorf("an exclusion went: %s", got)
	}
	if err := Unregister(exclusion); err != nil {
		t.Error(err)
	}
}

func TestBulk(t *testing.T) {
	defer clear(t)
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
	if n := root.regions.Load(); n != 3 {
		t.Errorf("%d regions", n)
	}
	if err := UnregisterPointer(&x[3]); err != nil {
		t.Error(err)
	}
	if r, _ := Lookup(named | 1); r.Addr() != uintptr(unsafe.Pointer(&x[0])) {
		t.Errorf("%+v", r)
	}
	if err := UnregisterRange(uintptr(unsafe.Pointer(&x)), 16); err != nil || root.regions.Load() != 1 {
		t.Errorf("%v, %d regions: the slice reaches out of the range", err, root.regions.Load())
	}
	if err := UnregisterAll(ids[1], named|5); !errors.Is(err, ErrNotRegistered) || root.regions.Load() != 0 {
		t.Errorf("%v, %d regions", err, root.regions.Load())
	}
	p, _, err := New[int32](named|6, Name("new"))
	s, _, err2 := Make[int32](named|7, 5)
	if err != nil || err2 != nil || len(s) != 5 {
		t.Fatal(err, err2)
	}
	if q, _, err := New[int32](named | 6); q != nil || !errors.Is(err, ErrRegistered) {
		t.Errorf("%v, %v", q, err)
	}
	if Free(p) != nil || FreeSlice(s) != nil || root.regions.Load() != 0 {
		t.Errorf("%d regions are left", root.regions.Load())
	}
}
