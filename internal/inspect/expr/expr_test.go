package expr

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/value"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/runtime/format/note"
)

type inner struct{ Deep string }

type item struct {
	*inner
	Name  string
	Price float64
	Any   any
	Next  *item
	Loop  map[string]any
}

var (
	list  []item
	byKey map[[2]int]*item
	ptr   atomic.Pointer[item]
)

// self is this process as a program with three regions.
func self(tb testing.TB) *Scope {
	tb.Helper()
	list = []item{{Name: "a", Price: 1.5, Any: 7, inner: &inner{"down"}}, {Name: "b", Any: "text", Loop: map[string]any{}}}
	list[1].Loop["x"], list[1].Loop["y"] = list[1].Loop, list[1].Loop
	list[0].Next = &list[1]
	byKey = map[[2]int]*item{{1, 2}: &list[0], {3, 4}: nil}
	ptr.Store(&list[1])
	k := kinds.Open(tb, os.Getpid(), nil)
	p := inspect.NewProgram(k.Prog, k.Mem)
	for i, r := range []struct {
		name string
		v    any // a pointer to the variable
	}{{"list", &list}, {"byKey", &byKey}, {"ptr", &ptr}} {
		words := *(*[2]memory.Address)(unsafe.Pointer(&r.v))
		t, err := p.Types.At(words[0])
		if err != nil {
			tb.Fatal(err)
		}
		elem, err := t.Elem()
		if err != nil {
			tb.Fatal(err)
		}
		p.Core.Regions = append(p.Core.Regions, note.Region{
			ID: 1<<63 | uint64(i+1), Name: r.name, Package: "example.com/shop/expr", Expr: r.name,
			Addr: uint64(words[1]), Size: elem.Size, TypeAddr: uint64(elem.Addr), Type: elem.String(),
		})
	}
	return NewScope(p)
}

// evaluate returns what a path leads to as text.
func evaluate(s *Scope, text string) (string, error) {
	x, err := Parse(text, s.Names())
	if err != nil {
		return "", err
	}
	var lines []string
	for r, err := range x.Eval(s) {
		if err != nil {
			return "", err
		}
		lines = append(lines, r.Path+" = "+r.Read(s.p, value.Limits{Depth: 2, Values: 50}).Go())
	}
	return strings.Join(lines, "\n"), nil
}

func TestEval(t *testing.T) {
	s := self(t)
	for path, want := range map[string]string{
		"list[0].Name":                       `expr.list[0].Name = "a"`,
		"example.com/shop/expr.list[1].Name": `expr.list[1].Name = "b"`,
		"expr.list[ * ].Name":                "expr.list[0].Name = \"a\"\nexpr.list[1].Name = \"b\"",
		"list[0].Deep":                       `expr.list[0].Deep = "down"`,
		"list[*].Deep":                       "expr.list[0].Deep = \"down\"\nexpr.list[1].Deep = /* expr.list[1] is nil */",
		"ptr.Name":                           `expr.ptr.Name = "b"`,
		"len(list)":                          "len(expr.list) = 2",
		"cap(list[1:])":                      "cap(expr.list[1:2]) = 1",
		"len(list[0].Name)":                  "len(expr.list[0].Name) = 1",
		"byKey[[2]int{1, 2}].Price":          "expr.byKey[[2]int{1, 2}].Price = 1.5",
		"byKey[[2]int{3,4}].Price":           "expr.byKey[[2]int{3, 4}].Price = /* expr.byKey[[2]int{3, 4}] is nil */",
		"list[0].Any.(int)":                  "expr.list[0].Any.(int) = 7",
		"(*list[0].Next).Name":               `(*expr.list[0].Next).Name = "b"`,
		"0x8000000000000001[0].Price":        "expr.list[0].Price = 1.5",
		"list[*].Any.(string)":               "expr.list[0].Any = /* expr.list[0].Any holds int */\nexpr.list[1].Any.(string) = \"text\"",
		`len(list[1].Loop["x"].(map[string]interface{}))`: `len(expr.list[1].Loop["x"].(map[string]interface{})) = 2`,
	} {
		if got, err := evaluate(s, path); err != nil || got != want {
			t.Errorf("%s: %v, %s\nwant %s", path, err, got, want)
		}
	}
}

// An error is at the byte where the wrong part begins.
func TestErrors(t *testing.T) {
	s := self(t)
	for path, want := range map[string]string{
		"list[2]":           "5: index 2 is out of range",
		"list[-1]":          "5: want a number",
		"list[0].Nam":       "8: expr.item has no field Nam: did you mean Name?",
		"list[0].Name.X":    "13: string has no fields",
		"list.Name":         "5: []expr.item has no fields",
		"list[*].Nam":       "8: expr.item has no field Nam",
		"list[1:3]":         "0: [1:3] is out of range",
		"*list":             "0: expr.list is not a pointer: it is a []expr.item",
		"list[0].Any.(item": "17: expected ')'",
		"len(list) + 1":     "0: want a path",
		"len(list).X":       "0: a number has nothing below it",
		"cap(byKey)":        "4: expr.byKey has no cap",
		`list[1].Loop["z"]`: `13: expr.list[1].Loop has no key "z"`,
		"list[func(){}()]":  "5: want a number",
	} {
		_, err := evaluate(s, path)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if !strings.HasPrefix(fmt.Sprintf("%d: %s", e.Offset, e.Msg), want) {
			t.Errorf("%s: %d: %s\nwant %s", path, e.Offset, e.Msg, want)
		}
	}
	for path, want := range map[string]string{
		"lst[0]": `no region is called "lst": did you mean list?`, "expr.ist.Name": "did you mean expr.list?", "": "no region is called", "[": "no region is called",
	} {
		if _, err := evaluate(s, path); !errors.Is(err, ErrRegion) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// An excluded variable is no region. The core has where it is declared.
func TestExcluded(t *testing.T) {
	s := self(t)
	s.p.Core.Receipts = []note.Receipt{{Reason: note.ReasonExcluded, Rule: "a variable of example.com/shop at main.go:27"}, {Reason: note.ReasonExcluded, Rule: "shop.T.F"}, {Reason: note.ReasonStack}}
	want := "(excluded, without their names: a variable of example.com/shop at main.go:27)"
	if _, err := evaluate(s, "secret"); !errors.Is(err, ErrRegion) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v", err)
	}
}

// FuzzPath: whatever a path is, it is parsed, evaluated and completed without a panic
// and in bounded time. An error is inside the path. What a path leads to is where the
// path of the result leads.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"list[0].Name", "expr.list[*].Any.(string)", "len(list[1].Loop)", "byKey[[2]int{1, 2}]", "list[1:2][0]", "*ptr", `list[1].Loop["x"][*][*][*]`,
		"(((", "list[", `list["`, "list[*", "example.com/shop/expr.list", "list.\x00", "list[0x1p-2]", "list['a']", "\xff[*]", "len(cap(list))", "list[-9223372036854775809]",
	} {
		f.Add(seed)
	}
	s := self(f)
	s.steps = 1 << 12
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		inside := func(err error) {
			var e *Error
			if errors.As(err, &e) && (e.Offset < 0 || e.Offset > len(text)) {
				t.Errorf("%q: error at %d", text, e.Offset)
			}
		}
		x, err := Parse(text, s.Names())
		inside(err)
		if err == nil {
			for r, err := range x.Eval(s) {
				inside(err)
				if pl, ok := r.Place(); err == nil && ok {
					again(t, s, r.Path, pl)
				}
			}
		}
		if n := len(s.Complete(text)); n > maxCandidates {
			t.Errorf("%q: %d candidates", text, n)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%q took %v", text, d)
		}
	})
}

// again checks that a path leads to a place.
func again(t *testing.T, s *Scope, path string, want value.Place) {
	t.Helper()
	x, err := Parse(path, s.Names())
	if err != nil {
		return // a path to all elements can be longer than one may be
	}
	for r, err := range x.Eval(s) {
		if pl, ok := r.Place(); err != nil || !ok || pl != want {
			t.Errorf("%q leads to %v, %v, want %v", path, pl, err, want)
		}
		return
	}
}
