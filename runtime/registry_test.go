//go:build !meminspect_off

package meminspect

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// withdrawAll unregisters all dynamic regions, so that tests do not see each
// other's.
func withdrawAll(tb testing.TB) {
	tb.Helper()
	for r := range Regions() {
		if r.Kind != KindEntry {
			if err := Unregister(r.ID); err != nil && !errors.Is(err, ErrNotRegistered) {
				tb.Fatal(err)
			}
		}
	}
}

const named = ID(anchor.NamedBit)

func TestRegister(t *testing.T) {
	defer withdrawAll(t)
	var x struct{ A, B int32 }
	if id, err := Register(named|1, &x, Name("x"), Depth(3), Budget(99)); id != named|1 || err != nil {
		t.Fatal(id, err)
	}
	r, ok := Lookup(named | 1)
	if !ok || r.Addr() != uintptr(unsafe.Pointer(&x)) || r.Size != 8 || r.Name != "x" || r.Depth != 3 || !r.HasDepth || r.Budget != 99 || r.Type().String() != "struct { A int32; B int32 }" {
		t.Errorf("%+v %v", r, r.Type())
	}
	s := []uint16{1, 2, 3}
	sid, err := RegisterSlice(IDDynamic, s[:2])
	if err != nil || sid < ID(anchor.FirstDynamic) {
		t.Fatal(sid, err)
	}
	if r, _ := Lookup(sid); r.Size != 4 || r.Kind != KindSlice || r.Type().String() != "uint16" {
		t.Errorf("%+v", r)
	}
	tid, err := RegisterString(IDDynamic, "text")
	if r, _ := Lookup(tid); err != nil || r.Size != 4 || r.Kind != KindString || r.Type() != nil {
		t.Errorf("%+v, %v", r, err)
	}
	fid, err := RegisterForeign(IDDynamic, 0x1000, 10)
	if r, _ := Lookup(fid); err != nil || r.Addr() != 0x1000 || r.Hold() != nil {
		t.Errorf("%+v, %v", r, err)
	}

	for _, c := range []struct {
		reports string // which region
		err     error
		want    error
	}{
		{"8000000000000001", second(Register(named|1, &x)), ErrRegistered},
		{"(Twice)", second(Register(named|1, &x, Name("Twice"))), ErrRegistered},
		{"register: nothing", second(Register[int](IDDynamic, nil)), ErrEmpty},
		{"0000000000000003", second(Register(3, &x)), ErrReserved},
		{"8000000000000002", Unregister(named | 2), ErrNotRegistered},
		{"mark: range", second(Mark([]int{1}, 0, 2)), ErrRange},
		{"", second(RegisterSlice(IDDynamic, []int{})), ErrEmpty},
		{"", second(Register(IDDynamic, &struct{}{})), ErrEmpty},
		{"", second(RegisterString(IDDynamic, "")), ErrEmpty},
		{"", second(RegisterForeign(IDDynamic, 0, 5)), ErrEmpty},
	} {
		var re *RegionError
		if !errors.Is(c.err, c.want) || !errors.As(c.err, &re) || !strings.Contains(c.err.Error(), c.reports) {
			t.Errorf("%v, want %v of %q", c.err, c.want, c.reports)
		}
	}
	if _, err := Register(named|1, &x, Another()); err != nil {
		t.Errorf("another region under the same ID: %v", err)
	}
	if err := Unregister(named | 1); err != nil {
		t.Error(err)
	}
	if _, ok := Lookup(named | 1); ok {
		t.Error("Unregister left one of two regions under an ID")
	}
}

func second[T any](_ T, err error) error { return err }

// Registering one more region takes constant time, however many share its ID.
// If each visited the others, this test would take minutes.
func TestManyUnderOneID(t *testing.T) {
	defer withdrawAll(t)
	const n = 30_000
	x := make([]int, n)
	specs := make([]Spec, 0, n/2)
	for i := range x {
		if i < n/2 {
			if _, err := Register(named|1, &x[i], Another()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		specs = append(specs, Value(named|1, &x[i], Another()))
	}
	if _, err := RegisterAll(specs...); err != nil {
		t.Fatal(err)
	}
	next := 0
	for r := range Regions() {
		if r.ID != named|1 {
			continue
		}
		if r.Addr() != uintptr(unsafe.Pointer(&x[next])) {
			t.Fatalf("region %d of the ID is not the one that came as such", next)
		}
		next++
	}
	if next != n {
		t.Errorf("%d regions under the ID, want %d", next, n)
	}
	if err := Unregister(named | 1); err != nil || registry.Count() != 0 {
		t.Errorf("%v, %d regions left", err, registry.Count())
	}
}

// Invalid registrations and ranges are errors. A range may extend to the end of
// the address space.
func TestOddArguments(t *testing.T) {
	defer withdrawAll(t)
	var x int
	if _, err := RegisterAll(Value(IDDynamic, &x), Spec{}); !errors.Is(err, ErrEmpty) || registry.Count() != 0 {
		t.Errorf("a Spec of nothing: %v, %d regions", err, registry.Count())
	}
	if _, err := Register(IDDynamic, &x); err != nil {
		t.Fatal(err)
	}
	if err := UnregisterRange(1, math.MaxUint64); err != nil || registry.Count() != 0 {
		t.Errorf("UnregisterRange of everything: %v, %d regions left", err, registry.Count())
	}
}

// The registry behaves like a plain list over tens of thousands of random steps
// that make its table grow and shrink.
func TestRegistryAgainstModel(t *testing.T) {
	defer withdrawAll(t)
	rng := rand.New(rand.NewPCG(1, 2))
	type entry struct {
		id   ID
		addr uintptr
	}
	var model []entry
	values := make([]int, 4000)
	for step := 0; step < 40000; step++ {
		id := named | ID(rng.IntN(3000))
		grow := step/8000%2 == 0
		switch n := rng.IntN(10); {
		case n < 1:
			id = IDDynamic
			fallthrough
		case n < 3 || grow && n < 8:
			v := &values[rng.IntN(len(values))]
			var opts []Option
			another := rng.IntN(8) == 0
			if another {
				opts = append(opts, Another())
			}
			taken := id != IDDynamic && slices.ContainsFunc(model, func(e entry) bool { return e.id == id })
			got, err := Register(id, v, opts...)
			if taken && !another {
				if !errors.Is(err, ErrRegistered) {
					t.Fatalf("step %d: %v", step, err)
				}
				break
			}
			if err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
			model = append(model, entry{got, uintptr(unsafe.Pointer(v))})
		default:
			if len(model) > 0 && rng.IntN(2) == 0 {
				id = model[rng.IntN(len(model))].id
			}
			before := len(model)
			model = slices.DeleteFunc(model, func(e entry) bool { return e.id == id })
			if err := Unregister(id); (err == nil) != (len(model) < before) {
				t.Fatalf("step %d: %v, the model had %d and has %d", step, err, before, len(model))
			}
		}
		if step%997 == 0 {
			var got []entry
			for r := range Regions() {
				if r.Kind != KindEntry {
					got = append(got, entry{r.ID, r.Addr()})
				}
			}
			if !slices.Equal(got, model) {
				t.Fatalf("step %d: %d regions, the model has %d", step, len(got), len(model))
			}
			for _, e := range model {
				i := slices.IndexFunc(model, func(o entry) bool { return o.id == e.id })
				if r, ok := Lookup(e.id); !ok || r.Addr() != model[i].addr {
					t.Fatalf("step %d: Lookup(%v) is %#x, %v", step, e.id, r.Addr(), ok)
				}
			}
		}
	}
	if n := registry.Count(); n != uint64(len(model)) {
		t.Errorf("the anchor counts %d regions, there are %d", n, len(model))
	}
}

// Registering allocates one chunk per 256 regions and nothing else; linking and
// beating allocate nothing.
func TestAllocations(t *testing.T) {
	defer withdrawAll(t)
	var x [4]int
	if n := testing.AllocsPerRun(1000, func() {
		id, err := Register(IDDynamic, &x, Name("x"), Depth(2))
		if err != nil {
			t.Fatal(err)
		}
		if err := Unregister(id); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Register and Unregister: %v allocations", n)
	}
	slice, text := x[:], strings.Repeat("x", 3)
	if n := testing.AllocsPerRun(1000, func() {
		a, _ := RegisterSlice(IDDynamic, slice)
		b, _ := RegisterString(IDDynamic, text)
		Unregister(a)
		Unregister(b)
	}); n != 0 {
		t.Errorf("RegisterSlice and RegisterString: %v allocations", n)
	}

	// These need 64 chunks at most.
	const regions = 64 * anchor.SlotsPerChunk
	n := testing.AllocsPerRun(1, func() {
		for range regions / 2 {
			if _, err := Register(IDDynamic, &x); err != nil {
				t.Fatal(err)
			}
		}
	})
	if most := float64(regions/2/anchor.SlotsPerChunk + 1); n > most {
		t.Errorf("%d regions: %v allocations, at most %v", regions/2, n, most)
	}

	table := &registry.Table{}
	if n := testing.AllocsPerRun(100, func() { registry.Link(table); registry.Unlink(table) }); n != 0 {
		t.Errorf("Link: %v allocations", n)
	}
}

// Static entries come first and match their table.
func TestStaticEntries(t *testing.T) {
	defer withdrawAll(t)
	a, b := 1, [100]byte{}
	table := &registry.Table{
		Package: "example.com/p",
		Entries: []registry.Entry{
			{ID: uint64(named | 7), Name: "A", Expr: "a", Var: &a},
			{ID: uint64(named | 8), Name: "B", Expr: "b", Var: &b, Size: 10, Flags: anchor.EntryArea},
			{ID: uint64(named | 9), Name: "C", Expr: "c", Var: &b, Size: 1000, Flags: anchor.EntryArea},
		},
	}
	registry.Link(table)
	defer registry.Unlink(table)
	registry.Link(table)
	if _, err := Register(IDDynamic, &a); err != nil {
		t.Fatal(err)
	}
	var got []string
	var sizes []uint64
	for r := range Regions() {
		got = append(got, r.Package+"."+r.Name)
		sizes = append(sizes, r.Size)
	}
	if want := []string{"example.com/p.A", "example.com/p.B", "example.com/p.C", "."}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if want := []uint64{8, 10, 100, 8}; !slices.Equal(sizes, want) {
		t.Errorf("sizes %v, want %v: an area ends with its variable", sizes, want)
	}
	if r, ok := Lookup(named | 8); !ok || r.Name != "B" {
		t.Errorf("%+v", r)
	}
	if s := (named | 8).String(); s != "B" {
		t.Errorf("the ID is called %q", s)
	}
}

// Goroutines that concurrently register, look up and unregister leave nothing
// in the registry.
func TestConcurrent(t *testing.T) {
	defer withdrawAll(t)
	var wg sync.WaitGroup
	stop := Notify(func(Event) {})
	defer stop()
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var v [8]int
			for i := range 300 {
				id, err := Register(IDDynamic, &v[i%8])
				if err != nil {
					t.Error(err)
					return
				}
				if r, ok := Lookup(id); !ok || r.Addr() != uintptr(unsafe.Pointer(&v[i%8])) {
					t.Errorf("goroutine %d does not find its region", g)
				}
				if i%50 == 0 {
					for range Regions() {
					}
				}
				if err := Unregister(id); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	if n := registry.Count(); n != 0 {
		t.Errorf("%d regions left", n)
	}
	if !registry.Quiet() {
		t.Error("the anchor's sequence is odd")
	}
}

var global [4]int

// must fails the tests if a registration that a test depends on fails.
func must(_ ID, err error) {
	if err != nil {
		panic(err)
	}
}
