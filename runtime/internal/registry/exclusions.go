//go:build !meminspect_off

package registry

import (
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// gatherExclusions collects the exclusions in the tables and the slots.
func gatherExclusions() *exclusions {
	x := &exclusions{
		types: map[reflect.Type]string{}, fields: map[reflect.Type][]Exclusion{},
		generic: map[string][]Exclusion{}, spans: map[reflect.Type][]ExcludedSpan{},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		x.main = info.Path
	}
	for t := range Tables() {
		for i := range t.Exclusions {
			x.add(&t.Exclusions[i])
		}
	}
	reg.mu.Lock()
	defer reg.mu.Unlock()
	for c := range reg.dir[:reg.chunks] {
		for i := range reg.dir[c].slots {
			if s := &reg.dir[c].slots[i]; s.Kind == anchor.SlotExcluded {
				from := uint64(uintptr(unsafe.Pointer(s.Base))) + s.Addr
				r := s.region()
				x.ranges = append(x.ranges, excludedRange{from, from + s.Size, "excluded at run time", r.Type()})
			}
		}
	}
	return x
}

func (x *exclusions) add(e *Exclusion) {
	rule := e.Package + "." + e.Type
	if e.Field != "" {
		rule += "." + e.Field
	}
	if e.Pos != "" {
		rule += " at " + e.Pos
	}
	switch e.Kind {
	case anchor.ExcludeVariable:
		if t := reflect.TypeOf(e.Var); t != nil && t.Kind() == reflect.Pointer {
			from := uint64(reflect.ValueOf(e.Var).Pointer())
			x.ranges = append(x.ranges, excludedRange{from, from + uint64(t.Elem().Size()), rule, t.Elem()})
		}
	case anchor.ExcludeType:
		if t := reflect.TypeOf(e.Var); t != nil && t.Kind() == reflect.Pointer {
			x.types[t.Elem()] = rule
		}
	case anchor.ExcludeField:
		if t := reflect.TypeOf(e.Var); t != nil && t.Kind() == reflect.Pointer {
			x.fields[t.Elem()] = append(x.fields[t.Elem()], *e)
		}
	case anchor.ExcludeGenericType, anchor.ExcludeGenericField:
		x.generic[e.Type] = append(x.generic[e.Type], *e)
	}
}

// of returns the excluded spans of a region.
func (x *exclusions) of(r *Region) []ExcludedSpan {
	var spans []ExcludedSpan
	t := r.Type()
	switch {
	case r.Kind == anchor.SlotForeign || t == nil && r.Kind != anchor.SlotString:
		return []ExcludedSpan{{0, r.Size, TypeNotKnown, nil}}
	case r.Kind == anchor.SlotString:
	case r.Kind == anchor.SlotSlice:
		spans = repeat(x.ofType(t), uint64(t.Size()), r.Size/max(uint64(t.Size()), 1))
	default:
		spans = slices.Clone(x.ofType(t))
	}
	at := uint64(r.Addr())
	for _, e := range x.ranges {
		if from, to := max(e.from, at), min(e.to, at+r.Size); at != 0 && from < to {
			spans = append(spans, ExcludedSpan{from - at, to - from, e.rule, nil})
		}
	}
	return apart(spans, r.Size)
}

// apart sorts spans, joins overlapping ones and cuts them to size.
func apart(spans []ExcludedSpan, size uint64) []ExcludedSpan {
	slices.SortStableFunc(spans, func(a, b ExcludedSpan) int {
		switch {
		case a.Offset < b.Offset:
			return -1
		case a.Offset > b.Offset:
			return 1
		}
		return 0
	})
	var out []ExcludedSpan
	for _, s := range spans {
		if s.Offset >= size || s.Size == 0 {
			continue
		}
		s.Size = min(s.Size, size-s.Offset)
		if n := len(out); n > 0 && s.Offset <= out[n-1].Offset+out[n-1].Size {
			out[n-1].Size = max(out[n-1].Size, s.Offset+s.Size-out[n-1].Offset)
			continue
		}
		out = append(out, s)
	}
	return out
}

func repeat(spans []ExcludedSpan, each, n uint64) []ExcludedSpan {
	if len(spans) == 0 {
		return nil
	}
	if len(spans) == 1 && spans[0].Offset == 0 && spans[0].Size == each {
		return []ExcludedSpan{{0, each * n, spans[0].Rule, nil}}
	}
	out := make([]ExcludedSpan, 0, uint64(len(spans))*n)
	for i := range n {
		for _, s := range spans {
			s.Offset += i * each
			out = append(out, s)
		}
	}
	return out
}

// ofType returns the excluded spans of a value of type t.
func (x *exclusions) ofType(t reflect.Type) []ExcludedSpan {
	if spans, ok := x.spans[t]; ok {
		return spans
	}
	spans := x.walk(t)
	x.spans[t] = spans
	return spans
}

func (x *exclusions) walk(t reflect.Type) []ExcludedSpan {
	if rule := x.ruleOf(t); rule != "" {
		return []ExcludedSpan{{0, uint64(t.Size()), rule, nil}}
	}
	switch t.Kind() {
	case reflect.Array:
		return repeat(x.ofType(t.Elem()), uint64(t.Elem().Size()), uint64(t.Len()))
	case reflect.Struct:
		spans := x.fieldsOf(t)
		for i := range spans {
			spans[i].Type = nil // apart may have joined several
		}
		for i := range t.NumField() {
			f := t.Field(i)
			for _, s := range x.ofType(f.Type) {
				s.Offset += uint64(f.Offset)
				spans = append(spans, s)
			}
		}
		return apart(spans, uint64(t.Size()))
	}
	return nil
}

// ruleOf returns the rule that excludes all values of type t, "" if there is
// none.
func (x *exclusions) ruleOf(t reflect.Type) string {
	if rule := x.types[t]; rule != "" {
		return rule
	}
	for _, e := range x.genericOf(t) {
		if e.Kind == anchor.ExcludeGenericType {
			return e.Package + "." + e.Type
		}
	}
	return ""
}

// fieldsOf returns the fields of a struct type that exclusions name.
func (x *exclusions) fieldsOf(t reflect.Type) []ExcludedSpan {
	var spans []ExcludedSpan
	for _, e := range x.fields[t] {
		spans = append(spans, ExcludedSpan{e.Offset, e.Size, e.Package + "." + e.Type + "." + e.Field, typeAt(t, e.Offset, e.Size)})
	}
	for _, e := range x.genericOf(t) {
		if f, ok := t.FieldByName(e.Field); ok && len(f.Index) == 1 {
			spans = append(spans, ExcludedSpan{uint64(f.Offset), uint64(f.Type.Size()), e.Package + "." + e.Type + "." + f.Name, f.Type})
		}
	}
	return spans
}

// typeAt returns the type of the field in the size bytes at off within a t, nil
// if there is none.
func typeAt(t reflect.Type, off, size uint64) reflect.Type {
	for {
		if off == 0 && uint64(t.Size()) == size {
			return t
		}
		inner := t
		switch t.Kind() {
		case reflect.Struct:
			for i := range t.NumField() {
				if f := t.Field(i); uint64(f.Offset) <= off && off+size <= uint64(f.Offset)+uint64(f.Type.Size()) {
					inner, off = f.Type, off-uint64(f.Offset)
					break
				}
			}
		case reflect.Array:
			if each := uint64(t.Elem().Size()); each > 0 {
				inner, off = t.Elem(), off%each
			}
		}
		if inner == t {
			return nil
		}
		t = inner
	}
}

// values appends the excluded values within a t at an offset, each with its
// type.
func (x *exclusions) values(out []ExcludedSpan, t reflect.Type, at uint64) []ExcludedSpan {
	if len(x.ofType(t)) == 0 {
		return out
	}
	if rule := x.ruleOf(t); rule != "" {
		return append(out, ExcludedSpan{at, uint64(t.Size()), rule, t})
	}
	switch t.Kind() {
	case reflect.Array:
		for i := range t.Len() {
			out = x.values(out, t.Elem(), at+uint64(i)*uint64(t.Elem().Size()))
		}
	case reflect.Struct:
		for _, s := range x.fieldsOf(t) {
			s.Offset += at
			out = append(out, s)
		}
		for i := range t.NumField() {
			out = x.values(out, t.Field(i).Type, at+uint64(t.Field(i).Offset))
		}
	}
	return out
}

// genericOf returns the generic exclusions that name t's type. A program calls
// package main "main", a table uses its import path.
func (x *exclusions) genericOf(t reflect.Type) []Exclusion {
	name, _, ok := strings.Cut(t.Name(), "[")
	if !ok {
		return nil
	}
	var out []Exclusion
	for _, e := range x.generic[name] {
		if pkg := t.PkgPath(); pkg == e.Package || pkg == "main" && (x.main == "" || x.main == e.Package) {
			out = append(out, e)
		}
	}
	return out
}
