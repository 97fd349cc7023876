package diff

import (
	"fmt"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect/paths"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

func number(text string) *value.Value {
	return &value.Value{Shape: value.Literal, Type: "int", Text: text}
}

func structure(fields ...value.Field) *value.Value {
	return &value.Value{Shape: value.Struct, Type: "main.t", Fields: fields}
}

func pointer(addr memory.Address, to *value.Value) *value.Value {
	return &value.Value{Shape: value.Pointer, Type: "*main.t", Addr: addr, Elem: to, BackRef: to == nil}
}

func list(elems ...*value.Value) *value.Value {
	return &value.Value{Shape: value.List, Type: "[]*main.t", Elems: elems}
}

func noted(note string) *value.Value {
	v := number("1")
	v.Notes = []string{note}
	return v
}

func keyed(entries ...value.Entry) *value.Value {
	return &value.Value{Shape: value.Map, Type: "map[float64]int", Entries: entries}
}

func entry(key, v *value.Value) value.Entry { return value.Entry{Key: key, Value: v} }

var nan = &value.Value{Shape: value.Literal, Type: "float64", Text: "math.NaN()", JSON: "NaN"}

func field(name string, v *value.Value) value.Field { return value.Field{Name: name, Value: v} }

// Rings of p and q elements have p*q pairs: few of them are compared.
func TestRings(t *testing.T) {
	ring := func(n int, at memory.Address) *value.Value {
		all := structure()
		for i := range n {
			next := pointer(at+memory.Address(16*((i+1)%n)), nil)
			all.Fields = append(all.Fields, field(fmt.Sprint(i), pointer(at+memory.Address(16*i), structure(field("Value", number(fmt.Sprint(i%7))), field("Next", next)))))
		}
		return all
	}
	d := newDiffer()
	d.values(paths.Root("x"), ring(2000, 1<<20), ring(2001, 1<<30))
	if n := len(d.compared); n < 2000 || n > 2000+minPairs+pairsPerValue*2*4001 {
		t.Errorf("%d pairs were compared", n)
	}
	if len(d.Changes) == 0 || d.Unknown == 0 {
		t.Errorf("%d changes, %d unknown", len(d.Changes), d.Unknown)
	}
	d = newDiffer()
	d.values(paths.Root("x"), ring(2000, 1<<20), ring(2000, 1<<30))
	if len(d.Changes) > 0 || d.Unknown > 0 {
		t.Errorf("equal rings: %d changes, %d unknown", len(d.Changes), d.Unknown)
	}
}

func TestValues(t *testing.T) {
	absent := &value.Value{Type: "int", Absent: "not captured"}
	for name, c := range map[string]struct {
		before, after *value.Value
		want          []string
		unknown       int
	}{
		"equal":   {before: number("1"), after: number("1")},
		"changed": {before: number("1"), after: number("2"), want: []string{"changed x"}},
		// How a value was read is no difference; what is known of it is.
		"torn":         {before: noted("torn: it changed while it was read"), after: number("1")},
		"torn in list": {before: list(noted("torn: it changed while it was read"), number("2")), after: list(number("1"), number("2"))},
		"note":         {before: noted("wakes at 3s"), after: noted("wakes at 4s"), want: []string{"changed x"}},
		"two versions": {before: structure(field("A", number("1")), field("Old", number("2"))), after: structure(field("New", number("2")), field("A", number("1"))), want: []string{"removed x.Old", "added x.New"}},
		"moved":        {before: pointer(16, structure(field("A", number("1")))), after: pointer(32, structure(field("A", number("1"))))},
		"target":       {before: pointer(16, structure(field("A", number("1")))), after: pointer(16, structure(field("A", number("2")))), want: []string{"changed x.A"}},
		"cycle":        {before: pointer(16, structure(field("Next", pointer(16, nil)))), after: pointer(48, structure(field("Next", pointer(48, nil))))},
		// By what they lead to, two pointers to one value equal two pointers to equal values.
		"shared": {before: list(pointer(16, structure(field("A", number("1")))), pointer(16, nil)), after: list(pointer(16, structure(field("A", number("1")))), pointer(32, structure(field("A", number("1")))))},
		// Keys may look the same: those with equal values are the same.
		"equal keys":   {before: keyed(entry(nan, number("1")), entry(nan, number("2"))), after: keyed(entry(nan, number("2")), entry(nan, number("1")))},
		"key added":    {before: keyed(entry(nan, number("1"))), after: keyed(entry(nan, number("2")), entry(nan, number("1"))), want: []string{"added x[math.NaN()]"}},
		"key changed":  {before: keyed(entry(nan, number("1")), entry(nan, number("2"))), after: keyed(entry(nan, number("2")), entry(nan, number("3"))), want: []string{"changed x[math.NaN()]"}},
		"key removed":  {before: keyed(entry(nan, number("1")), entry(nan, number("2"))), after: keyed(entry(nan, number("2"))), want: []string{"removed x[math.NaN()]"}},
		"keys moved":   {before: keyed(entry(pointer(16, structure(field("A", number("1")))), number("1"))), after: keyed(entry(pointer(32, structure(field("A", number("1")))), number("2"))), want: []string{"changed x[&main.t{A: 1}]"}},
		"shown in key": {before: structure(field("M", keyed(entry(pointer(16, structure(field("A", list(number("1"))))), number("1")))), field("P", pointer(16, nil))), after: structure(field("M", keyed()), field("P", pointer(32, structure(field("A", list(number("2"))))))), want: []string{"removed x.M[&main.t{A: []*main.t{1}}]", "changed x.P.A[0]"}},
		"unknown":      {before: structure(field("A", absent)), after: structure(field("A", number("1"))), unknown: 1},
		"nil":          {before: pointer(16, number("1")), after: &value.Value{Shape: value.Nil, Type: "*main.t"}, want: []string{"changed x"}},
		"inserted":     {before: list(number("1"), number("2")), after: list(number("0"), number("1"), number("2")), want: []string{"added x[0]"}},
		"replaced":     {before: list(number("1"), number("2"), number("3")), after: list(number("1"), number("5"), number("3")), want: []string{"changed x[1]"}},
		"other type":   {before: &value.Value{Shape: value.Interface, Elem: number("1")}, after: &value.Value{Shape: value.Interface, Elem: &value.Value{Shape: value.Literal, Type: "int8", Text: "1"}}, want: []string{"changed x"}},
	} {
		d := newDiffer()
		d.values(paths.Root("x"), c.before, c.after)
		var got []string
		for _, change := range d.Changes {
			got = append(got, fmt.Sprint(change.Kind, " ", change.Path))
		}
		if !slices.Equal(got, c.want) || d.Unknown != c.unknown {
			t.Errorf("%s: %v, %d unknown; want %v, %d", name, got, d.Unknown, c.want, c.unknown)
		}
	}
}
