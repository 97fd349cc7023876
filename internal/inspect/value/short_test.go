package value

import (
	"strings"
	"sync"
	"testing"

	"github.com/meminspect/meminspect/internal/await"
)

// Equal elements in a row, and structs of zeros, are short in Go syntax.
func TestShort(t *testing.T) {
	number := func(text string) *Value { return &Value{Shape: Literal, Type: "int", Text: text} }
	many := func(n int, v *Value) (list []*Value) {
		for range n {
			list = append(list, v)
		}
		return list
	}
	point := func(x, y string) *Value {
		return &Value{Shape: Struct, Type: "main.point", Fields: []Field{{"X", number(x)}, {"Y", number(y)}}}
	}
	for _, c := range []struct {
		v    *Value
		want string
	}{
		{&Value{Shape: List, Type: "[]int", Elems: many(1000, number("0"))}, "[]int{0 /* × 1,000 */}"},
		{&Value{Shape: List, Type: "[]int", Elems: append(append(many(4, number("7")), number("8")), many(1234567, number("9"))...)}, "[]int{7, 7, 7, 7, 8, 9 /* × 1,234,567 */}"},
		{&Value{Shape: List, Type: "[]main.point", Elems: many(5, point("1", "2"))}, "[]main.point{{X: 1, Y: 2} /* × 5 */}"},
		{&Value{Shape: List, Type: "[]main.point", Elems: append(many(3, point("0", "0")), point("0", "1"))}, "[]main.point{{}, {}, {}, {X: 0, Y: 1}}"},
		{&Value{Shape: Bytes, Type: "[8]uint8", Text: "\x01\x00\x00\x00\x00\x00\x00\x02"}, "[8]uint8{0x1, 0x0 /* × 6 */, 0x2}"},
		{point("0", "0"), "main.point{}"},
		{&Value{Shape: Struct, Type: "main.line", Fields: []Field{{"A", point("0", "0")}, {"B", &Value{Shape: Nil}}, {"C", &Value{Shape: Text}}}}, "main.line{}"},
		// What is not known is not zero, and what is referred to is shown.
		{&Value{Shape: Struct, Type: "main.t", Fields: []Field{{"A", &Value{Shape: Literal, Absent: "not captured"}}, {"B", number("0")}}}, "main.t{A: /* not captured */, B: 0}"},
		{&Value{Shape: Struct, Type: "main.t", Fields: []Field{{"A", &Value{Shape: Literal, Text: "0", Referenced: true, Addr: 16}}}}, "main.t{A: /* 0x10 */ 0}"},
		{&Value{Shape: List, Type: "[]*int", Elems: many(9, &Value{Shape: Pointer, Type: "*int", Addr: 16, Elem: number("1")})}, "[]*int{" + strings.TrimSuffix(strings.Repeat("new(1), ", 9), ", ") + "}"},
	} {
		if got := c.v.Go(); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}

type tree map[string]any

// Slices and maps that contain themselves, or that several values share, are
// written once.
func TestSelfContaining(t *testing.T) {
	events := make([]any, 4)
	for i := range events {
		events[i] = events
	}
	m := tree{}
	m["self"], m["again"] = m, m
	layers := []any{1} // 2^20 elements, each of two
	for range 20 {
		layers = []any{layers, layers}
	}
	all := struct {
		Events []any
		M      tree
		Layers []any
		Names  []string
		Same   []string
	}{events, m, layers, []string{"a"}, nil}
	all.Same = all.Names
	p, typ, addr := self(t, &all, plain)
	typ, err := p.Types.At(typ.Addr)
	if err != nil {
		t.Fatal(err)
	}
	v := Read(p, typ, addr, Limits{Depth: 100})
	text := v.Go()
	if len(text) > 4000 {
		t.Errorf("%d bytes: %.500s", len(text), text)
	}
	for _, want := range []string{"[]interface {}(0x", "value.tree(0x", `"self": `, `Same: []string{"a"}`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %.1000s", want, text)
		}
	}
	if b, err := v.MarshalJSON(); err != nil || len(b) > 4000 || !strings.Contains(string(b), `{"$again":"0x`) {
		t.Errorf("%d bytes of JSON, %v", len(b), err)
	}
}

// The state of what package sync has is a remark.
func TestSyncState(t *testing.T) {
	var s struct {
		Free, Held        sync.Mutex
		Read, Write, Wait sync.RWMutex
		Group, Done       sync.WaitGroup
		Never, Once       sync.Once
	}
	var ready sync.WaitGroup
	started := func(f func()) {
		ready.Add(1)
		go func() {
			ready.Done()
			f()
		}()
	}
	s.Held.Lock()
	started(s.Held.Lock)
	s.Read.RLock()
	s.Read.RLock()
	s.Write.Lock()
	s.Wait.RLock()
	started(s.Wait.Lock)
	s.Group.Add(3)
	started(s.Group.Wait)
	s.Once.Do(func() {})
	ready.Wait()
	t.Cleanup(func() {
		s.Held.Unlock()
		s.Wait.RUnlock()
		s.Group.Add(-3)
	})
	want := `struct { Free sync.Mutex; Held sync.Mutex; Read sync.RWMutex; Write sync.RWMutex; Wait sync.RWMutex; Group sync.WaitGroup; Done sync.WaitGroup; Never sync.Once; Once sync.Once }{
	Free: sync.Mutex{},
	Held: sync.Mutex{} /* locked, 1 waiter */,
	Read: sync.RWMutex{} /* 2 readers */,
	Write: sync.RWMutex{} /* locked for writing */,
	Wait: sync.RWMutex{} /* 1 reader, a writer waits */,
	Group: sync.WaitGroup{} /* counter 3, 1 waiter */,
	Done: sync.WaitGroup{},
	Never: sync.Once{},
	Once: sync.Once{} /* done */,
}`
	p, typ, addr := self(t, &s, plain)
	got := ""
	if !await.Poll(func() bool { got = Read(p, typ, addr, Limits{}).Go(); return got == want }) { // the goroutines may not wait yet
		t.Errorf("%s\nwant %s", got, want)
	}
}
