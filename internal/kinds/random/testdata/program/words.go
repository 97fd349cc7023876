package main

import (
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// A Claim is a value in words. It is what package value's Value is to be.
type Claim struct {
	Kind   string
	Text   string   `json:",omitempty"` // a number or a text, of a pointer its address, of a struct the names of its fields
	Type   string   `json:",omitempty"` // of what a pointer points at, and of what an interface holds
	Parts  []*Claim `json:",omitempty"` // of a map keys and elements in turn
	Hidden bool     `json:",omitempty"` // it is excluded
	// Cost is 1 where what is in Parts is a pointer away.
	Cost int `json:",omitempty"`
}

// words returns what every variable holds.
func words() map[string]*Claim {
	all := map[string]*Claim{}
	for _, v := range vars {
		s := writer{seen: map[string]bool{}, left: 20_000}
		all[v.Name] = s.value(reflect.ValueOf(v.Var).Elem())
		all[v.Name].Hidden = all[v.Name].Hidden || v.Hidden
	}
	return all
}

// A writer follows each pointer once. Slices and maps may hold themselves too:
// where there is no end it prints "more".
type writer struct {
	seen        map[string]bool
	left, depth int
}

func (s *writer) value(v reflect.Value) *Claim {
	s.left--
	s.depth++
	defer func() { s.depth-- }()
	if s.left < 0 || s.depth > 300 {
		return &Claim{Kind: "more"}
	}
	if !v.CanAddr() {
		c := reflect.New(v.Type()).Elem()
		c.Set(v)
		v = c
	}
	v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem() // unexported fields too
	claim := s.special(v)
	if claim == nil {
		claim = s.plain(v)
	}
	name, _, _ := strings.Cut(v.Type().String(), "[")
	claim.Hidden = hidden[name]
	return claim
}

// special is for types that mean something else than their fields.
func (s *writer) special(v reflect.Value) *Claim {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		return &Claim{Kind: "literal", Text: x.Format(time.RFC3339Nano)}
	case *big.Int:
		return &Claim{Kind: "literal", Text: x.String()}
	case *netip.Addr:
		claim := s.plain(v)
		text, _ := x.MarshalText()                       // of the zero value, empty
		claim.Kind, claim.Type = "address", string(text) // Text has the names of the fields
		return claim
	case *sync.Map:
		claim := &Claim{Kind: "map", Cost: 1}
		x.Range(func(key, elem any) bool {
			claim.Parts = append(claim.Parts, s.value(reflect.ValueOf(&key).Elem()), s.value(reflect.ValueOf(&elem).Elem()))
			return true
		})
		return claim
	}
	t := v.Type()
	switch {
	case t.PkgPath() == "sync/atomic" && strings.HasPrefix(t.Name(), "Pointer["):
		return s.pointer(v.Addr().MethodByName("Load").Call(nil)[0])
	case t.PkgPath() == "sync/atomic":
		return s.value(v.Addr().MethodByName("Load").Call(nil)[0])
	case t.PkgPath() == "weak":
		claim := s.pointer(v.MethodByName("Value").Call(nil)[0])
		claim.Cost = 1 // that it is gone is a pointer away
		return claim
	}
	return nil
}

func (s *writer) plain(v reflect.Value) *Claim {
	switch v.Kind() {
	case reflect.Bool:
		return &Claim{Kind: "literal", Text: strconv.FormatBool(v.Bool())}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &Claim{Kind: "literal", Text: strconv.FormatInt(v.Int(), 10)}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &Claim{Kind: "literal", Text: strconv.FormatUint(v.Uint(), 10)}
	case reflect.Uintptr:
		return &Claim{Kind: "literal", Text: fmt.Sprintf("%#x", v.Uint())}
	case reflect.Float32, reflect.Float64:
		return &Claim{Kind: "literal", Text: number(v.Float(), v.Type().Bits())}
	case reflect.Complex64, reflect.Complex128:
		c, bits := v.Complex(), v.Type().Bits()/2
		return &Claim{Kind: "literal", Text: "complex(" + number(real(c), bits) + ", " + number(imag(c), bits) + ")"}
	case reflect.UnsafePointer:
		if v.IsNil() {
			return &Claim{Kind: "nil"}
		}
		return &Claim{Kind: "literal", Text: fmt.Sprintf("unsafe.Pointer(%#x)", v.Pointer())}
	case reflect.String:
		return &Claim{Kind: "text", Text: latin(v.String()), Cost: 1}
	case reflect.Struct:
		return s.structure(v)
	case reflect.Array:
		return s.list(v, 0)
	case reflect.Pointer:
		return s.pointer(v)
	}
	if v.IsNil() {
		return &Claim{Kind: "nil"}
	}
	switch v.Kind() {
	case reflect.Slice:
		return s.list(v, 1)
	case reflect.Map:
		claim := &Claim{Kind: "map", Cost: 1}
		for i := v.MapRange(); i.Next(); {
			claim.Parts = append(claim.Parts, s.value(i.Key()), s.value(i.Value()))
		}
		return claim
	case reflect.Chan:
		claim := &Claim{Kind: "chan", Text: fmt.Sprintf("%d of %d", v.Len(), v.Cap()), Cost: 1}
		for _, held := range content[v.Pointer()][:v.Len()] { // none of a channel that was here
			claim.Parts = append(claim.Parts, s.value(held))
		}
		return claim
	case reflect.Func:
		return &Claim{Kind: "func", Text: runtime.FuncForPC(v.Pointer()).Name(), Cost: 1}
	}
	held := v.Elem() // of an interface
	claim := &Claim{Kind: "interface", Type: held.Type().String(), Cost: 1}
	if direct(held.Type()) {
		claim.Cost = 0
	}
	claim.Parts = []*Claim{s.value(held)}
	return claim
}

// direct reports whether an interface holds a value of a type itself.
func direct(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return true
	case reflect.Array:
		return t.Len() == 1 && direct(t.Elem())
	case reflect.Struct:
		return t.NumField() == 1 && direct(t.Field(0).Type)
	}
	return false
}

func (s *writer) structure(v reflect.Value) *Claim {
	claim := &Claim{Kind: "struct"}
	name, _, _ := strings.Cut(v.Type().String(), "[")
	var names []string
	for i := range v.NumField() {
		field := v.Type().Field(i).Name
		if field == "_" {
			continue
		}
		names = append(names, field)
		part := s.value(v.Field(i))
		part.Hidden = part.Hidden || hidden[name+"."+field]
		claim.Parts = append(claim.Parts, part)
	}
	claim.Text = strings.Join(names, " ")
	return claim
}

func (s *writer) list(v reflect.Value, cost int) *Claim {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		b := make([]byte, v.Len())
		for i := range b {
			b[i] = byte(v.Index(i).Uint())
		}
		return &Claim{Kind: "bytes", Text: latin(string(b)), Cost: cost}
	}
	claim := &Claim{Kind: "list", Cost: cost}
	for i := range v.Len() {
		claim.Parts = append(claim.Parts, s.value(v.Index(i)))
	}
	return claim
}

func (s *writer) pointer(v reflect.Value) *Claim {
	if v.IsNil() {
		return &Claim{Kind: "nil"}
	}
	claim := &Claim{Kind: "pointer", Text: fmt.Sprintf("%#x", v.Pointer()), Type: v.Type().Elem().String(), Cost: 1}
	if key := claim.Text + claim.Type; !s.seen[key] {
		s.seen[key] = true
		claim.Parts = []*Claim{s.value(v.Elem())}
	}
	return claim
}

func number(f float64, bits int) string {
	switch {
	case math.IsNaN(f):
		return "math.NaN()"
	case math.IsInf(f, 1):
		return "math.Inf(1)"
	case math.IsInf(f, -1):
		return "math.Inf(-1)"
	case f == 0 && math.Signbit(f):
		return "math.Copysign(0, -1)"
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}

// latin makes a character of each byte: JSON has no others.
func latin(text string) string {
	runes := make([]rune, len(text))
	for i := range runes {
		runes[i] = rune(text[i])
	}
	return string(runes)
}
