//go:build linux

package pathstest

import (
	"context"
	"math"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/internal/inspect/expr"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/runtime/format/note"
)

func TestMain(m *testing.M) {
	code := m.Run()
	kinds.Cleanup()
	os.Exit(code)
}

// add makes a variable a region of a program.
func add(p *inspect.Program, name string, t *gotypes.Type, addr memory.Address) {
	p.Core.Regions = append(p.Core.Regions, note.Region{
		ID: 1<<63 | uint64(len(p.Core.Regions)+1), Name: name, Package: "main", Expr: name,
		Addr: uint64(addr), Size: t.Size, TypeAddr: uint64(t.Addr), Type: t.String(),
	})
}

// The paths to all variables of the program of all kinds lead back to them.
func TestKinds(t *testing.T) {
	k := kinds.Attach(t, kinds.Start(t, kinds.Make(t, kinds.Build{})), nil)
	p := inspect.NewProgram(k.Prog, k.Mem)
	for _, v := range k.Vars {
		add(p, v.Name, v.Type, v.Addr)
	}
	keys := Check(t, p)
	t.Logf("%d variables, %d paths with keys", len(k.Vars), keys)
	if keys < 100 {
		t.Errorf("%d paths have keys", keys)
	}
}

type point struct{ X, Y int }

type hard struct {
	P     point
	Name  string
	Next  *hard
	Any   any
	When  time.Time
	Addr  netip.Addr
	Bytes [40]byte
	Ints  [6]int8
	C     complex64
	F     float32
	Ok    bool
	Ch    chan int
}

// keyed has maps with keys that are hard to write.
type keyed struct {
	Points   map[point]int
	NaN      map[float64]*point
	Hard     map[hard]int
	Pointers map[*hard]int
	Same     map[*point]point
	Any      map[any]int
	Contexts map[context.Context]int
	Base     context.Context
	Channels map[chan int]string
	Long     map[string]int
	Arrays   map[[3]any]int
	Local    map[any]int
	Sync     sync.Map
	Ring     *hard
}

func newKeyed() *keyed {
	type local struct{ A, B any }
	base, cancel := context.WithCancel(context.Background())
	k := &keyed{
		Points: map[point]int{{1, 2}: 3, {}: 4}, NaN: map[float64]*point{}, Hard: map[hard]int{}, Pointers: map[*hard]int{}, Same: map[*point]point{},
		Any:  map[any]int{nil: 1, 2: 2, "x": 3, point{1, 2}: 4, int8(2): 5, 2.0: 6, true: 7, &point{3, 4}: 8, [2]any{1, point{}}: 9, time.Second: 10, netip.MustParseAddr("10.1.2.3"): 11},
		Base: base, Contexts: map[context.Context]int{}, Channels: map[chan int]string{make(chan int, 3): "a", nil: "b"},
		Long: map[string]int{string(make([]byte, 700)): 1, string(make([]byte, 701)): 2}, Arrays: map[[3]any]int{{1, "a", nil}: 1, {[1]int{2}, &point{}, 'x'}: 2},
		Local: map[any]int{local{1, "x"}: 1, local{}: 2, &local{3, local{}}: 3, struct{ A, B int }{1, 2}: 4},
	}
	canceled = cancel
	k.NaN[math.NaN()], k.NaN[math.NaN()], k.NaN[math.Inf(-1)], k.NaN[0.5] = &point{1, 1}, &point{2, 2}, nil, nil
	for i := range 5 {
		h := hard{P: point{i, 0}, Name: "\"]{", Any: point{2, i}, When: time.Unix(int64(i), 0).UTC(), C: complex(1, 2), F: 3, Ok: true, Ch: make(chan int)}
		h.Bytes[3], h.Ints[i] = byte(i), -3
		k.Hard[h] = i
		next := h
		h.Next = &next
		next.Next = &next
		next.Any = k
		k.Pointers[&h], k.Hard[h] = i, i
		k.Ring = &next
		k.Same[&point{}] = point{i, i}
		c, stop := context.WithTimeout(context.WithValue(base, point{i, i}, i), time.Hour)
		context.AfterFunc(base, stop)
		k.Contexts[c] = i
		k.Sync.Store(point{i, 9}, c)
	}
	return k
}

var canceled context.CancelFunc

// So do the paths through keys that are hard to write.
func TestHardKeys(t *testing.T) {
	k := newKeyed()
	defer runtime.KeepAlive(k) // its memory is read
	defer canceled()
	self := kinds.Open(t, os.Getpid(), nil)
	p := inspect.NewProgram(self.Prog, self.Mem)
	var root any = k
	words := *(*[2]memory.Address)(unsafe.Pointer(&root))
	ptr, err := p.Types.At(words[0])
	if err != nil {
		t.Fatal(err)
	}
	elem, err := ptr.Elem()
	if err != nil {
		t.Fatal(err)
	}
	add(p, "keyed", elem, words[1])
	t.Logf("%d paths with keys", Check(t, p))
	for _, field := range []string{"Points", "Hard", "Pointers", "Same", "Any", "Contexts", "Channels", "Long", "Arrays", "Local", "Sync"} {
		checkEvery(t, p, expr.NewScope(p), "keyed."+field)
	}
	for _, path := range []string{
		"keyed.Points[{X: 1, Y: 2}]", "keyed.Points[point{1, 2}]", "keyed.Points[{}]", "keyed.Points[{X: 0}]", "keyed.Points[pathstest.point{Y: 2, X: 1}]",
		"keyed.Any[nil]", "keyed.Any[any(nil)]", "keyed.Any[interface{}(nil)]", "keyed.Any[2]", "keyed.Any[point{1, 2}]", "keyed.Any[&point{X: 3, Y: 4}]", "keyed.Any[[2]any{1, {}}]",
		`keyed.Any[netip.MustParseAddr("10.1.2.3")]`, "keyed.Any[any(true)]", "keyed.Local[{A: 1, B: 2}]",
	} {
		checkPath(t, p, expr.NewScope(p), path, nil)
	}
}
