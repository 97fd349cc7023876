//go:build !meminspect_off

package meminspect

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/internal/registry"
)

var entryA, entryB struct{ X, Y int64 }

// link links a table of two entries and a declared ID until the test ends.
func link(t *testing.T) {
	t.Helper()
	table := &registry.Table{
		Package:  "example.com/p",
		Entries:  []registry.Entry{{ID: uint64(named | 1), Name: "A", Expr: "a", Var: &entryA}, {ID: uint64(named | 2), Name: "B", Expr: "b", Var: &entryB}},
		Declared: []registry.Declared{{ID: uint64(named | 3), Name: "Declared"}},
	}
	registry.Link(table)
	t.Cleanup(func() { registry.Unlink(table) })
}

// registered returns the names of all regions, those of static entries in
// capitals.
func registered() string {
	var names []string
	for r := range Regions() {
		names = append(names, r.Name)
	}
	return strings.Join(names, " ")
}

// The ID of a static entry is in use until the entry is unregistered. A backend
// and a notifier receive it like any other region.
func TestStaticEntriesAreRegions(t *testing.T) {
	var x, y int32
	replace := func() error { return second(Replace(named|1, &x, Name("x"))) }
	for _, c := range []struct {
		name    string
		do      func() error
		want    error
		regions string
		calls   string // calls of the backend
	}{
		{"register its ID", func() error { return second(Register(named|1, &x)) }, ErrRegistered, "A B", ""},
		{"register its ID with others", func() error { return second(RegisterAll(Value(IDDynamic, &y), Value(named|1, &x))) }, ErrRegistered, "A B", ""},
		{"one more under its ID", func() error { return second(Register(named|1, &x, Name("x"), Another())) }, nil, "A B x", "+x/4"},
		{"replace it", replace, nil, "B x", "-A/16 +x/4"},
		{"replace it by nothing", func() error { return second(Replace[int](named|1, nil)) }, ErrEmpty, "A B", ""},
		{"replace it twice", func() error { return errors.Join(replace(), second(Replace(named|1, &y, Name("y")))) }, nil, "B y", "-A/16 +x/4 -x/4 +y/4"},
		{"unregister it", func() error { return Unregister(named | 1) }, nil, "B", "-A/16"},
		{"unregister it twice", func() error { return errors.Join(Unregister(named|1), Unregister(named|1)) }, ErrNotRegistered, "B", "-A/16"},
		{"unregister both", func() error { return UnregisterAll(named|1, named|2) }, nil, "", "-A/16 -B/16"},
		{"by its address", func() error { return UnregisterPointer(&entryB) }, nil, "A", "-B/16"},
		{"by its range", func() error { return UnregisterRange(uintptr(unsafe.Pointer(&entryA)), 16) }, nil, "B", "-A/16"},
		{"by half of its range", func() error { return UnregisterRange(uintptr(unsafe.Pointer(&entryA)), 8) }, ErrNotRegistered, "A B", ""},
		{"register its ID when it is gone", func() error { return errors.Join(Unregister(named|1), second(Register(named|1, &x, Name("x")))) }, nil, "B x", "-A/16 +x/4"},
		{"a declared ID names its region", func() error { return second(Register(named|3, &x)) }, nil, "A B Declared", "+Declared/4"},
		{"a name comes before that of the ID", func() error { return second(Register(named|3, &x, Name("x"))) }, nil, "A B x", "+x/4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			link(t)
			b := &book{name: "book"}
			attach(t, b)
			defer func() { registry.RemoveIf(func(r *registry.Region) bool { return r.Kind != 0 }) }()
			if got := b.take(); got != "+A/16 +B/16" {
				t.Errorf("attached: %s", got)
			}
			if err := c.do(); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if got := registered(); got != c.regions {
				t.Errorf("registered: %q, want %q", got, c.regions)
			}
			if got := b.take(); got != c.calls {
				t.Errorf("the backend got %q, want %q", got, c.calls)
			}
		})
	}
}

// uncomparable is a backend that == cannot compare.
type uncomparable struct {
	book
	f []int
}

func (uncomparable) Name() string                  { return "" }
func (uncomparable) RegisterRegion(Region) error   { return nil }
func (uncomparable) UnregisterRegion(Region) error { return nil }

// An invalid backend is an error. A refusal of a current region is an error
// too, but the backend is attached.
func TestAttachErrors(t *testing.T) {
	defer withdrawAll(t)
	for _, b := range []Backend{nil, uncomparable{}} {
		if err := Attach(b); !errors.Is(err, ErrBackend) {
			t.Errorf("Attach(%T): %v", b, err)
		}
		if err := Detach(b); !errors.Is(err, ErrNotAttached) {
			t.Errorf("Detach(%T): %v", b, err)
		}
	}
	var x, y int32
	must(Register(named|1, &x, Name("x")))
	must(Register(named|2, &y, Name("y")))
	full := errors.New("full")
	b := &book{name: "small", refuse: func(r Region) error {
		if r.Name == "y" {
			return full
		}
		return nil
	}}
	err := Attach(b)
	if !errors.Is(err, full) || err.Error() != "meminspect: backend small: register 8000000000000002 (y): full" {
		t.Errorf("%v", err)
	}
	if err := Attach(b); !errors.Is(err, ErrAttached) {
		t.Errorf("attached twice: %v", err)
	}
	if err := Detach(b); err != nil || b.take() != "+x/4 -x/4" {
		t.Errorf("detached: %v", err)
	}
}

// Every sentinel begins with the package's name, and a RegionError contains it
// once.
func TestErrorTexts(t *testing.T) {
	for _, err := range []error{ErrRegistered, ErrNotRegistered, ErrEmpty, ErrReserved, ErrNotGo, ErrRange, ErrFull, ErrAttached, ErrNotAttached, ErrBackend, ErrPanic} {
		if !strings.HasPrefix(err.Error(), "meminspect: ") {
			t.Errorf("%q", err)
		}
		wrapped := &RegionError{Op: "register", ID: named | 5, Name: "five", Err: err}
		if text := wrapped.Error(); strings.Count(text, "meminspect: ") != 1 || !strings.HasPrefix(text, "meminspect: register 8000000000000005 (five): ") || !errors.Is(wrapped, err) {
			t.Errorf("%q", text)
		}
	}
}

// Ranges are compared by address: those of one object merge, through whatever
// slice they were marked, and those of two objects never do.
func TestMarkByAddress(t *testing.T) {
	type mark = func(block []uint16, from, to int)
	all := func(m, _ mark, b []uint16) { m(b[:50], 0, 50); m(b[50:], 0, 50) }
	for _, c := range []struct {
		name string
		do   func(mark, unmark mark, b []uint16)
		want []int // from, to, from, to, …
	}{
		{"halves merge", all, []int{0, 100}},
		{"overlapping parts merge", func(m, _ mark, b []uint16) { m(b[10:40], 0, 30); m(b[30:], 0, 10) }, []int{10, 40}},
		{"a part within", func(m, _ mark, b []uint16) { m(b, 0, 100); m(b[20:30], 2, 3) }, []int{0, 100}},
		{"what joins two", func(m, _ mark, b []uint16) { m(b[:10], 0, 10); m(b[20:], 0, 10); m(b[5:25], 5, 15) }, []int{0, 30}},
		{"apart", func(m, _ mark, b []uint16) { m(b[:10], 0, 10); m(b[20:], 0, 10) }, []int{0, 10, 20, 30}},
		{"cleared through another slice", func(m, unmark mark, b []uint16) { all(m, nil, b); unmark(b[40:60], 5, 15) }, []int{0, 45, 55, 100}},
		{"cleared at an end", func(m, unmark mark, b []uint16) { all(m, nil, b); unmark(b[90:], 0, 10) }, []int{0, 90}},
		{"cleared whole", func(m, unmark mark, b []uint16) { all(m, nil, b); unmark(b, 0, 100) }, nil},
		{"cleared next to it", func(m, unmark mark, b []uint16) { m(b[:50], 0, 50); unmark(b[50:], 0, 50) }, []int{0, 50}},
	} {
		for where, block := range map[string][]uint16{"heap": make([]uint16, 100), "global": globalBlock[:]} {
			t.Run(c.name+"/"+where, func(t *testing.T) {
				defer withdrawAll(t)
				var id ID
				c.do(func(b []uint16, from, to int) {
					got, err := Mark(b, from, to)
					if err != nil {
						t.Fatal(err)
					}
					if where == "heap" && id != 0 && got != id {
						t.Errorf("one object has the IDs %v and %v", id, got)
					}
					id = got
				}, func(b []uint16, from, to int) {
					if err := Clear(b, from, to); err != nil {
						t.Fatal(err)
					}
				}, block)
				base := uintptr(unsafe.Pointer(&block[0]))
				var got []int
				for r := range Regions() {
					from := int(r.Addr()-base) / 2
					got = append(got, from, from+int(r.Size)/2)
				}
				slices.Sort(got)
				if !slices.Equal(got, c.want) {
					t.Errorf("marked: %v, want %v", got, c.want)
				}
			})
		}
	}
	defer withdrawAll(t)
	// Adjacent objects of one size class stay separate: a region keeps one object
	// alive.
	objects := make([][]uint16, 64)
	for i := range objects {
		objects[i] = make([]uint16, 256)
		if _, err := Mark(objects[i], 0, 256); err != nil {
			t.Fatal(err)
		}
	}
	if n := registry.Count(); n != uint64(len(objects)) {
		t.Errorf("%d objects are %d regions", len(objects), n)
	}
}

var globalBlock [100]uint16
