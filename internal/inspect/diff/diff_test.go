package diff

import (
	"fmt"
	"slices"
	"testing"

	"github.com/meminspect/meminspect/internal/core/memory"
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

func field(name string, v *value.Value) value.Field { return value.Field{Name: name, Value: v} }

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
		"shared":     {before: list(pointer(16, structure(field("A", number("1")))), pointer(16, nil)), after: list(pointer(16, structure(field("A", number("1")))), pointer(32, structure(field("A", number("1")))))},
		"unknown":    {before: structure(field("A", absent)), after: structure(field("A", number("1"))), unknown: 1},
		"nil":        {before: pointer(16, number("1")), after: &value.Value{Shape: value.Nil, Type: "*main.t"}, want: []string{"changed x"}},
		"inserted":   {before: list(number("1"), number("2")), after: list(number("0"), number("1"), number("2")), want: []string{"added x[0]"}},
		"replaced":   {before: list(number("1"), number("2"), number("3")), after: list(number("1"), number("5"), number("3")), want: []string{"changed x[1]"}},
		"other type": {before: &value.Value{Shape: value.Interface, Elem: number("1")}, after: &value.Value{Shape: value.Interface, Elem: &value.Value{Shape: value.Literal, Type: "int8", Text: "1"}}, want: []string{"changed x"}},
	} {
		d := differ{compared: map[pair]bool{}}
		d.values("x", c.before, c.after)
		var got []string
		for _, change := range d.Changes {
			got = append(got, fmt.Sprint(change.Kind, " ", change.Path))
		}
		if !slices.Equal(got, c.want) || d.Unknown != c.unknown {
			t.Errorf("%s: %v, %d unknown; want %v, %d", name, got, d.Unknown, c.want, c.unknown)
		}
	}
}
