package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
	"weak"
)

// kept keeps alive what no variable leads to, and content is what the buffer of
// each channel holds: reflection cannot look into it.
var (
	kept    []any
	content = map[uintptr][]reflect.Value{}
)

// A Thing is what the made types with a method are.
type Thing interface{ Area() float64 }

// Word, Loud and Handle are Things of each kind that an interface holds.
type (
	Word   uint64
	Loud   string
	Handle struct{ P *int64 }
)

func (w Word) Area() float64   { return float64(w) }
func (l Loud) Area() float64   { return float64(len(l)) }
func (h Handle) Area() float64 { return float64(*h.P) }

// Types with parameters.
type (
	Box[T any] struct {
		Label string
		Inner T
		More  []T
		To    *T
	}
	Pair[K comparable, V any] struct {
		Key K
		Val V
	}
	Tree[T any] struct {
		Left, Right *Tree[T]
		Value       T
	}
	Sealed[T any] struct { // excluded
		Value T
		Count int32
	}
	Guard[T any] struct {
		Open  int32
		Inner T // excluded
	}
)

func plain()                              {}
func double(i int) int                    { return 2 * i }
func ptr[T any](v T) *T                   { return &v }
func at[T any](i int, s ...T) *T          { return &s[i] }
func spare[T any](n int, s ...T) []T      { return append(make([]T, 0, len(s)+n), s...) }
func part[T any](i, j int, s ...T) []T    { return s[i:j] }
func heap(text string) string             { return string(append([]byte(nil), text...)) }
func middle(text string, i, j int) string { return heap(text)[i:j] }
func brief(text string) string            { return text[:min(len(text), 64)] } // what is taken of a captured one
func closure[A any](a A) func()           { return func() { kept = append(kept, a) } }

func counter[A any](a A) func(int) int {
	n := 0
	return func(i int) int { n += i; kept = append(kept, a); return n }
}

func many[T any](n int, each func(int) T) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = each(i)
	}
	return s
}

func half(i int) float64 {
	switch i % 7 {
	case 3:
		return math.NaN()
	case 5:
		return -float64(i)
	}
	return float64(i) / 2
}

// filled is a map of n entries, of which every one in gone is deleted again.
func filled[K comparable, V any](hint, n, gone int, key func(int) K, elem func(int) V) map[K]V {
	m := make(map[K]V, hint)
	for i := range n {
		m[key(i)] = elem(i)
	}
	for i := 0; gone > 0 && i < n; i += gone {
		delete(m, key(i))
	}
	return m
}

// channel is a channel whose ring begins at turn. Values that do not fit into the
// buffer wait with their senders; receivers wait where there are no values.
func channel[T any](capacity, turn int, closed bool, receivers int, vs ...T) chan T {
	c := make(chan T, capacity)
	at := reflect.ValueOf(c).Pointer()
	delete(content, at) // of a channel that was here
	for range min(turn, capacity) {
		var none T
		c <- none
		<-c
	}
	in := min(capacity, len(vs))
	for _, v := range vs[:in] {
		c <- v
		content[at] = append(content[at], reflect.ValueOf(&v).Elem())
	}
	if closed {
		close(c)
		return c
	}
	for _, v := range vs[in:] {
		go func() { c <- v }()
	}
	for range receivers {
		if len(vs) == 0 {
			go func() { kept = append(kept, <-c) }()
		}
	}
	return c
}

func syncMap(pairs ...any) (m sync.Map) {
	for i := 0; i+1 < len(pairs); i += 2 {
		m.Store(pairs[i], pairs[i+1])
	}
	return m
}

func atomicTo[T any](p *T) (a atomic.Pointer[T]) { a.Store(p); return a }
func atomicInt(i int64) (a atomic.Int64)         { a.Store(i); return a }
func atomicBool(b bool) (a atomic.Bool)          { a.Store(b); return a }
func atomicValue(v any) (a atomic.Value)         { a.Store(v); return a }

func weakTo[T any](p *T, gone bool) weak.Pointer[T] {
	if !gone {
		kept = append(kept, p)
	}
	return weak.Make(p)
}

// structOf makes a value of a type that no compiler has laid out; mapOf, sliceOf
// and pointerOf likewise.
func structOf(vs ...any) any {
	var fields []reflect.StructField
	for i, v := range vs {
		fields = append(fields, reflect.StructField{Name: fmt.Sprint("Field", i), Type: reflect.TypeOf(v)})
	}
	s := reflect.New(reflect.StructOf(fields)).Elem()
	for i, v := range vs {
		s.Field(i).Set(reflect.ValueOf(v))
	}
	return s.Interface()
}

func mapOf(key, elem any) any {
	m := reflect.MakeMap(reflect.MapOf(reflect.TypeOf(key), reflect.TypeOf(elem)))
	m.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(elem))
	return m.Interface()
}

func arrayOf(n int, v any) any {
	a := reflect.New(reflect.ArrayOf(n, reflect.TypeOf(v))).Elem()
	a.Index(n - 1).Set(reflect.ValueOf(v))
	return a.Interface()
}

func pointerOf(v any) any {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	return p.Interface()
}

// secret returns the n-th secret: the test knows the same formula.
func secret(n int) []byte {
	x := uint64(n+1)*0x9e3779b97f4a7c15 + 0x1234567
	var b [8]byte
	for i := range b {
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		b[i] = byte(x>>32) | 1
	}
	runtime.KeepAlive(&b)
	return b[:]
}

func secretText(n int) string         { return string(secret(n)) }
func secretArray(n int) (a [8]byte)   { copy(a[:], secret(n)); return a }
func secretWord(n int) uint64         { return binary.LittleEndian.Uint64(secret(n)) }
func secretLarge(n int) (a [200]byte) { copy(a[150:], secret(n)); return a }
func secretPage(n int) (p unsafe.Pointer) {
	p = unsafe.Pointer(new([8192]byte))
	copy((*[8192]byte)(p)[100:], secret(n))
	return p
}
