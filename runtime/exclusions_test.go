//go:build !meminspect_off

package meminspect

import (
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

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

// Regions lack what exclusions remove: excluded types, fields, generic ones,
// variables, and memory excluded at run time. If any exclusion exists, memory
// of unknown type is omitted completely.
func TestExclusions(t *testing.T) {
	defer withdrawAll(t)
	var hidden struct{ A, B, C int64 }
	table := &registry.Table{
		Package: "example.com/p",
		Exclusions: []registry.Exclusion{
			{Kind: anchor.ExcludeType, Var: (*secretText)(nil), Package: "p", Type: "secretText"},
			{Kind: anchor.ExcludeField, Var: (*account)(nil), Offset: uint64(unsafe.Offsetof(account{}.Pin)), Size: 8, Package: "p", Type: "account", Field: "Pin"},
			{Kind: anchor.ExcludeGenericField, Package: reflect.TypeFor[box[int]]().PkgPath(), Type: "box", Field: "Value"},
			{Kind: anchor.ExcludeVariable, Var: &hidden.B, Package: "p", Type: "hidden.B"},
		},
	}
	spans := func(r registry.Region) (s []uint64) {
		for _, e := range r.Excluded() {
			s = append(s, e.Offset, e.Size)
		}
		return s
	}
	foreign, _ := RegisterForeign(IDDynamic, uintptr(unsafe.Pointer(&global[0])), 8)
	if r, _ := registry.Lookup(uint64(foreign)); len(r.Excluded()) != 0 {
		t.Errorf("without exclusions: %v", r.Excluded())
	}
	registry.Link(table)
	defer registry.Unlink(table)

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
		r, _ := registry.Lookup(uint64(c.id))
		if got := spans(r); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		// Parts and excluded spans add up to the whole.
		sum := uint64(0)
		for _, e := range r.Excluded() {
			sum += e.Size
		}
		for _, p := range r.Parts() {
			sum += p.Size
			if len(c.want) > 0 && p.Type() != nil {
				t.Errorf("%s: a part is printed to be a %v", c.name, p.Type())
			}
		}
		if sum != r.Size {
			t.Errorf("%s: parts and holes have %d bytes of %d", c.name, sum, r.Size)
		}
	}

	// A backend receives the parts, and new ones when exclusions change.
	withdrawAll(t)
	must(Register(IDDynamic, &hidden, Name("h")))
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
