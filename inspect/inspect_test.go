//go:build linux

package inspect_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/big"
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/quick"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/inspect"
	"github.com/meminspect/meminspect/inspect/coretest"
	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/logring"
)

type state int

type order struct {
	ID     int64
	Item   string
	Price  float64
	state  state
	tags   []string
	notes  map[string]int
	parent *order
}

type everything struct {
	Bool      bool
	I8        int8
	I16       int16
	I32       int32
	I64       int64
	U8        uint8
	U64       uint64
	Ptr       uintptr
	F32       float32
	F64       float64
	C128      complex128
	Text      string
	Bytes     []byte
	Array     [3]uint16
	ByteArray [4]byte
	List      []int32
	Texts     []string
	Map       map[string]int16
	ByNumber  map[int32]string
	Nested    struct{ A, B string }
	Pointer   *int64
	Deep      **string
}

type shared struct {
	Count  atomic.Int64
	Flag   atomic.Bool
	Latest atomic.Pointer[order]
	Any    atomic.Value
	Map    sync.Map
	mu     sync.Mutex
	When   time.Time
	For    time.Duration
	Big    *big.Int
	Face   any
	None   error
}

// A key in an empty interface that is decoded to what Go cannot use as a key is an error
// with its path, not a panic.
func TestDecodeUnhashableKeys(t *testing.T) {
	type point struct{ X, Y int }
	any1 := map[any]int{point{1, 2}: 3}
	array := map[any]int{[2]any{1, point{1, 2}}: 4}
	pointer := map[any]int{&point{5, 6}: 7}
	var sync1 sync.Map
	sync1.Store(point{1, 2}, "x")
	fine := map[any]int{1: 1, "a": 2, true: 3, 1.5: 4, nil: 5}
	region(t, "any1", &any1, meminspect.Depth(10))
	region(t, "array", &array, meminspect.Depth(10))
	region(t, "pointer", &pointer, meminspect.Depth(10))
	region(t, "sync1", &sync1, meminspect.Depth(10))
	region(t, "fine", &fine, meminspect.Depth(10))
	core := coretest.Self(t)
	for path, dst := range map[string]any{
		"any1": new(map[any]int), "array": new(map[any]int), "pointer": new(map[any]int), "sync1": new(sync.Map),
		"any1 ": new(any), "sync1 ": new(map[any]any),
	} {
		path = strings.TrimSpace(path)
		err := core.Var(path).Decode(dst)
		if err == nil || !strings.Contains(err.Error(), path+"[entry 0]: its key is decoded to a ") {
			t.Errorf("%s into a %T: %v", path, dst, err)
		}
	}
	want := map[point]int{{1, 2}: 3}
	if got := decode[map[point]int](t, core, "any1"); !reflect.DeepEqual(got, want) {
		t.Errorf("any1 is %v", got)
	}
	if got := decode[map[point]string](t, core, "sync1"); !reflect.DeepEqual(got, map[point]string{{1, 2}: "x"}) {
		t.Errorf("sync1 is %v", got)
	}
	if got := decode[map[any]int](t, core, "fine"); !reflect.DeepEqual(got, map[any]int{int64(1): 1, "a": 2, true: 3, 1.5: 4, nil: 5}) {
		t.Errorf("fine is %v", got)
	}
}

// Numbers of package math/big come back with their precision.
func TestDecodeBig(t *testing.T) {
	type numbers struct {
		Int   *big.Int
		Rat   *big.Rat
		Whole big.Rat
		Float *big.Float
		Wide  big.Float
		Inf   *big.Float
	}
	n := &numbers{Int: big.NewInt(-3), Rat: big.NewRat(1, 3), Float: big.NewFloat(0.1), Inf: new(big.Float).SetInf(true)}
	n.Whole.SetInt64(4)
	n.Wide.SetPrec(300).Quo(big.NewFloat(1), big.NewFloat(3))
	region(t, "numbers", &n, meminspect.Depth(10))
	got := decode[numbers](t, coretest.Self(t), "numbers")
	if got.Int.Cmp(n.Int) != 0 || got.Rat.Cmp(n.Rat) != 0 || got.Whole.Cmp(&n.Whole) != 0 {
		t.Errorf("%v %v %v", got.Int, got.Rat, &got.Whole)
	}
	for i, f := range []*big.Float{got.Float, &got.Wide, got.Inf} {
		if want := []*big.Float{n.Float, &n.Wide, n.Inf}[i]; f.Cmp(want) != 0 || f.Prec() != want.Prec() {
			t.Errorf("%v of %d bits, want %v of %d", f, f.Prec(), want, want.Prec())
		}
	}
}

// An object that is reached twice is decoded for each type that the destination has for
// it, once for each.
func TestDecodeTwice(t *testing.T) {
	type leaf struct{ N int }
	type level struct{ A, B *level }
	type both struct {
		First, Second *leaf
		Third         any
		List, Again   []*leaf
		Levels        *level
		Ring          *ring
	}
	b := &both{First: &leaf{7}, Levels: &level{}, Ring: &ring{Name: "one"}}
	b.Second, b.Third, b.List = b.First, b.First, []*leaf{b.First, nil}
	b.Again, b.Ring.Next = b.List, b.Ring
	for range 40 { // as a tree it has 2^40 levels
		b.Levels = &level{A: b.Levels, B: b.Levels}
	}
	region(t, "both", &b, meminspect.Depth(100))
	core := coretest.Self(t)
	got := decode[struct {
		First  *leaf
		Second struct{ N int8 }
		Third  any
		List   []*leaf
		Again  []leaf
		Levels any `meminspect:"-"`
		Ring   *ring
	}](t, core, "both")
	if got.First.N != 7 || got.Second.N != 7 || !reflect.DeepEqual(got.Third, map[string]any{"N": int64(7)}) || got.List[0] != got.First || got.Again[0].N != 7 || got.Ring.Next != got.Ring {
		t.Errorf("%+v", got)
	}
	levels := decode[any](t, core, "both.Levels")
	for range 40 {
		m := levels.(map[string]any)
		if levels = m["B"]; levels == nil {
			t.Fatal("a level has no B")
		}
	}
	var circle any
	err := core.Var("both.Ring").Decode(&circle)
	var missing *inspect.MissingError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "contains itself") {
		t.Errorf("%v", err)
	}
}

// Info has the version of Go also if the core has no build information.
func TestInfo(t *testing.T) {
	if info := coretest.Self(t).Info(); info.GoVersion != runtime.Version() || info.PID != os.Getpid() {
		t.Errorf("%+v", info)
	}
}

type ring struct {
	Name string
	Next *ring
}

// region registers a variable until the end of the test.
func region[T any](t *testing.T, name string, p *T, opts ...meminspect.Option) {
	t.Helper()
	id, err := meminspect.Register(meminspect.IDDynamic, p, append(opts, meminspect.Name(name))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := meminspect.Unregister(id); err != nil {
			t.Error(err)
		}
	})
}

// exported compares values with all their fields.
var exported = cmp.Exporter(func(reflect.Type) bool { return true })

func decode[T any](t *testing.T, core *inspect.Core, path string) (got T) {
	t.Helper()
	if err := core.Var(path).Decode(&got); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return got
}

// Random values of all kinds come back as they are.
func TestDecodeRandom(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	values := make([]everything, 200)
	for i := range values {
		v, ok := quick.Value(reflect.TypeFor[everything](), random)
		if !ok {
			t.Fatal("testing/quick makes no value")
		}
		values[i] = v.Interface().(everything)
	}
	region(t, "random", &values, meminspect.Depth(10))
	core := coretest.Self(t)
	got := decode[[]everything](t, core, "random")
	for i := range values {
		if diff := cmp.Diff(values[i], got[i], exported, nilIsEmpty); diff != "" {
			t.Fatalf("value %d (-program +core):\n%s", i, diff)
		}
	}
}

// nilIsEmpty: quick makes empty slices whose data is not in the program's heap.
var nilIsEmpty = cmp.FilterValues(func(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	return x.IsValid() && y.IsValid() && x.Kind() == y.Kind() && (x.Kind() == reflect.Slice || x.Kind() == reflect.Map) && x.Len() == 0 && y.Len() == 0
}, cmp.Ignore())

func TestDecode(t *testing.T) {
	parent := &order{ID: 1, Item: "book", state: 2, tags: []string{"a", "b"}, notes: map[string]int{"x": -1}}
	orders := map[string]*order{"ada": {ID: 7, Item: "pen", Price: 1.5, parent: parent}, "bob": {ID: 8, parent: parent}}
	region(t, "orders", &orders, meminspect.Depth(10))

	all := &shared{When: time.Date(2026, 11, 28, 1, 2, 3, 4, time.UTC), For: 90 * time.Second, Big: new(big.Int).Lsh(big.NewInt(3), 200), Face: order{ID: 5}}
	all.Count.Store(-12)
	all.Flag.Store(true)
	all.Latest.Store(parent)
	all.Any.Store("text")
	all.Map.Store("key", 42)
	region(t, "all", all, meminspect.Depth(10))

	circle := &ring{Name: "one"}
	circle.Next = &ring{Name: "two", Next: circle}
	region(t, "circle", &circle, meminspect.Depth(10))

	floats := []float64{math.NaN(), math.Inf(1), math.Copysign(0, -1), 1e300}
	region(t, "floats", &floats)

	core := coretest.Self(t)
	t.Run("own types", func(t *testing.T) {
		got := decode[map[string]*order](t, core, "orders")
		if diff := cmp.Diff(orders, got, exported); diff != "" {
			t.Fatal(diff)
		}
		if got["ada"].parent != got["bob"].parent {
			t.Error("one parent became two")
		}
	})
	t.Run("paths", func(t *testing.T) {
		if got := decode[string](t, core, `orders["ada"].Item`); got != "pen" {
			t.Error(got)
		}
		if got := decode[int](t, core, "len(orders)"); got != 2 {
			t.Error(got)
		}
		ids := decode[[]int64](t, core, "orders[*].ID")
		if diff := cmp.Diff([]int64{7, 8}, ids); diff != "" {
			t.Error(diff)
		}
		if got := core.Var(`orders["ada"].Item`).String(); got != `"pen"` {
			t.Error(got)
		}
		if got := core.Var("orders").Type(); got != "map[string]*inspect_test.order" {
			t.Error(got)
		}
		if b, err := core.Var("orders[*].ID").MarshalJSON(); err != nil || string(b) != `["7","8"]` {
			t.Errorf("%s %v", b, err)
		}
	})
	t.Run("types with a method Store", func(t *testing.T) {
		var got shared
		if err := core.Var("all").Decode(&got); err != nil {
			t.Fatal(err)
		}
		number, _ := got.Map.Load("key")
		if got.Count.Load() != -12 || !got.Flag.Load() || got.Any.Load() != "text" || number != int64(42) || got.Latest.Load().Item != "book" {
			t.Errorf("%v %v %v %v", got.Count.Load(), got.Flag.Load(), got.Any.Load(), number)
		}
		if !got.When.Equal(all.When) || got.For != all.For || got.Big.Cmp(all.Big) != 0 || got.None != nil {
			t.Errorf("%v %v %v", got.When, got.For, got.Big)
		}
		face, _ := got.Face.(map[string]any)
		if face["ID"] != int64(5) || face["parent"] != nil {
			t.Errorf("%v", got.Face)
		}
	})
	t.Run("cycles", func(t *testing.T) {
		got := decode[*ring](t, core, "circle")
		if got.Name != "one" || got.Next.Name != "two" || got.Next.Next != got {
			t.Errorf("%+v", got)
		}
	})
	t.Run("floats", func(t *testing.T) {
		got := decode[[]float64](t, core, "floats")
		for i := range floats {
			if math.Float64bits(got[i]) != math.Float64bits(floats[i]) && !(math.IsNaN(got[i]) && math.IsNaN(floats[i])) {
				t.Errorf("%v, not %v", got[i], floats[i])
			}
		}
	})
	t.Run("other types", func(t *testing.T) {
		type short struct {
			Number  int8 `meminspect:"id"`
			Item    string
			ignored func() `meminspect:"-"`
		}
		got := decode[map[string]short](t, core, "orders")
		if got["ada"].Number != 7 || got["ada"].Item != "pen" || got["ada"].ignored != nil {
			t.Errorf("%+v", got)
		}
	})
	t.Run("errors", func(t *testing.T) {
		var none struct{ Nothing int }
		var small []int8
		for path, c := range map[string]struct {
			into any
			want string
		}{
			`orders["ada"]`:    {&none, "no field Nothing"},
			"floats":           {&small, "cannot be stored in a int8|does not fit"},
			"orders[*]":        {new(int), "use a pointer to a slice"},
			"orders":           {orders, "not a pointer"},
			"nothing":          {new(int), "no region is called"},
			`orders["carol"]`:  {new(order), "carol"},
			`orders["ada"].ID`: {new(string), "cannot be stored in a string"},
			"all.When":         {new(int), "cannot be stored in a int"},
		} {
			err := core.Var(path).Decode(c.into)
			found := false
			for want := range strings.SplitSeq(c.want, "|") {
				found = found || err != nil && strings.Contains(err.Error(), want)
			}
			if !found {
				t.Errorf("%s: %v, want an error with %q", path, err, c.want)
			}
		}
	})
}

// What the core does not have is missing, with a reason, and the rest is there.
func TestDecodeMissing(t *testing.T) {
	chain := &order{ID: 1, parent: &order{ID: 2, parent: &order{ID: 3}}}
	region(t, "chain", &chain, meminspect.Depth(2))
	secret := struct {
		Name string
		Key  [8]byte
	}{"ada", [8]byte([]byte("password"))}
	region(t, "secret", &secret)
	id, err := meminspect.Exclude(&secret.Key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := meminspect.Unregister(id); err != nil {
			t.Error(err)
		}
	})
	core := coretest.Self(t)

	var got *order
	err = core.Var("chain").Decode(&got)
	missing := (*inspect.MissingError)(nil)
	if !errors.As(err, &missing) || len(missing.Parts) != 1 || missing.Parts[0].Path != "chain.parent.parent" {
		t.Fatalf("%v", err)
	}
	if got.ID != 1 || got.parent.ID != 2 || got.parent.parent == nil {
		t.Errorf("%+v", got)
	}

	hidden := secret
	hidden.Key = [8]byte{}
	err = core.Var("secret").Decode(&hidden)
	if !errors.As(err, &missing) || missing.Parts[0] != (inspect.Missing{Path: "secret.Key", Reason: "redacted"}) {
		t.Errorf("%v", err)
	}
	if hidden.Name != "ada" || hidden.Key != [8]byte{} {
		t.Errorf("%q", hidden)
	}
}

// The state of a lock is no reason for missing parts.
func TestDecodeLocked(t *testing.T) {
	type locked struct {
		mu   sync.Mutex
		Name string
	}
	guarded, got := locked{Name: "ada"}, locked{}
	guarded.mu.Lock()
	defer guarded.mu.Unlock()
	region(t, "guarded", &guarded)
	if err := coretest.Self(t).Var("guarded").Decode(&got); err != nil || got.Name != "ada" {
		t.Errorf("%q, %v", got.Name, err)
	}
}

func TestReport(t *testing.T) {
	ring := logring.New(1 << 16)
	slog.New(ring.Handler(slog.DiscardHandler)).With(slog.Group("g", "a", 1)).Info("ready", "port", 80)
	jobs := make(chan int, 3)
	jobs <- 1
	region(t, "jobs", &jobs)
	blocked := make(chan int)
	region(t, "blocked", &blocked)
	for range 3 {
		go func() { <-blocked }()
	}
	defer close(blocked)
	for {
		core := coretest.Self(t)
		waits, err := core.Waits()
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		for i < len(waits) && waits[i].Path != "blocked" {
			i++
		}
		if i == len(waits) || len(waits[i].Waiters) < 3 {
			continue // they have not come there yet
		}
		if w := waits[i]; w.Kind != "chan" || w.Channel.Cap != 0 || w.Waiters[0].Action != "receive" || w.Waiters[0].State != "chan receive" {
			t.Errorf("%+v", w)
		}
		groups, err := core.Groups()
		if err != nil {
			t.Fatal(err)
		}
		in := ""
		for _, g := range groups {
			if len(g.Goroutines) == 3 && len(g.Frames) > 0 {
				in += g.Frames[0].Function + "\n"
			}
		}
		if !strings.Contains(in, "inspect_test.TestReport.func") {
			t.Errorf("no group of three in TestReport: %q", in)
		}
		log, err := core.Log()
		if err != nil || len(log) != 1 || log[0].Message != "ready" || len(log[0].Attrs) != 2 || log[0].Attrs[0].String() != "g=[a=1]" {
			t.Errorf("%v %v", log, err)
		}
		r := core.Report()
		if r.Info.PID != os.Getpid() || r.Info.Reason != "asked" || r.Info.Program != filepath.Base(os.Args[0]) || r.Failed != nil || len(r.Groups) == 0 || len(r.Log) != 1 {
			t.Errorf("%+v", r)
		}
		break
	}
}

func TestDiff(t *testing.T) {
	count, names := 1, map[string]int{"ada": 1, "bob": 2}
	region(t, "count", &count)
	region(t, "names", &names)
	before := coretest.Self(t)
	count = 5
	delete(names, "ada")
	names["carol"] = 3
	after := coretest.Self(t)
	got := map[string]inspect.Change{}
	for _, c := range inspect.Diff(before, after).Changes {
		got[c.Path] = c
	}
	want := map[string]inspect.Change{
		"count":          {Path: "count", Kind: "changed", Before: "1", After: "5"},
		`names["ada"]`:   {Path: `names["ada"]`, Kind: "removed", Before: "1"},
		`names["carol"]`: {Path: `names["carol"]`, Kind: "added", After: "3"},
	}
	for path, c := range want {
		if got[path] != c {
			t.Errorf("%s: %+v", path, got[path])
		}
	}
}

func TestAttachAndOpen(t *testing.T) {
	number := 42
	region(t, "number", &number)
	core, err := inspect.Attach(context.Background(), os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	if got := decode[int](t, core, "number"); got != 42 {
		t.Error(got)
	}
	found := false
	for _, r := range core.Regions() {
		found = found || r.Name == "number" && r.Type == "int" && r.Size == 8 && r.Status == "complete"
	}
	if !found {
		t.Errorf("%+v", core.Regions())
	}
	if _, err := inspect.Open(filepath.Join(t.TempDir(), "none.core")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := inspect.Attach(context.Background(), 1<<31-1); err == nil {
		t.Error("there is no such process")
	}
}
