package goobject_test

import (
	"fmt"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
	"weak"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// A process is the test itself, read as any other program.
type process struct {
	memory.Reader
	types *gotypes.Set
	chans goobject.ChanLayout
}

func self(tb testing.TB) process {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	file, err := exe.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { file.Close() })
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { mem.Close() })
	if file.Type == 3 { // position-independent
		tb.Skip("the test's executable is position-independent")
	}
	p, err := module.OfImage(file.Loaded(0), file)
	if err != nil {
		tb.Fatal(err)
	}
	live := memory.Section{Range: memory.Range{End: 1 << 47}, File: mem}
	return process{memory.Reader{Memory: live}, gotypes.New(live, p), goobject.ChanLayoutOf(p.Version)}
}

func (p process) read(addr memory.Address, size uint64) ([]byte, bool) {
	b, err := p.Bytes(addr, size, 1<<20)
	return b, err == nil
}

// typeOf returns the type that reflect has as t.
func (p process) typeOf(tb testing.TB, t reflect.Type) *gotypes.Type {
	tb.Helper()
	got, err := p.types.At(memory.Address((*[2]uintptr)(unsafe.Pointer(&t))[1]))
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

// int64At reads the number at addr, by way of a pointer when indirect is set.
func (p process) int64At(tb testing.TB, addr memory.Address, indirect bool) int64 {
	tb.Helper()
	if indirect {
		var err error
		if addr, err = p.Pointer(addr); err != nil {
			tb.Fatal(err)
		}
	}
	v, err := p.Uint64(addr)
	if err != nil {
		tb.Fatal(err)
	}
	return int64(v)
}

type wide struct {
	N   int64
	pad [150]byte // larger than what slots have room for
}

// Maps of all sizes, also with slots that hold pointers and after deletions,
// have the entries that they have.
func TestMaps(t *testing.T) {
	p := self(t)
	for _, n := range []int{0, 1, 8, 9, 100, 900, 5000} {
		plain, indirect := map[int64]int64{}, map[wide]wide{}
		for i := range int64(n) {
			plain[i*3], indirect[wide{N: i * 3}] = i*5, wide{N: i * 5}
			plain[-1-i] = 0
		}
		for i := range int64(n) {
			delete(plain, -1-i)
		}
		for _, m := range []any{plain, indirect} {
			t.Run(fmt.Sprintf("%T of %d", m, n), func(t *testing.T) {
				typ, err := goobject.MapOf(p.typeOf(t, reflect.TypeOf(m)))
				if err != nil {
					t.Fatal(err)
				}
				data, _ := p.read(memory.Address(reflect.ValueOf(m).Pointer()), goobject.MapHeaderSize)
				h, err := typ.Header(data)
				if err != nil || h.Count != uint64(n) || h.Writing {
					t.Fatalf("%+v, %v", h, err)
				}
				got := map[int64]int64{}
				for piece := range typ.Pieces(h, p.read, 1<<20) {
					if piece.Err != nil {
						t.Fatalf("%+v", piece)
					}
					for key, elem := range typ.Entries(piece) {
						got[p.int64At(t, key, typ.IndirectKey)] = p.int64At(t, elem, typ.IndirectElem)
					}
				}
				if !reflect.DeepEqual(got, plain) {
					t.Errorf("%d entries: %v", len(got), got)
				}
			})
		}
		runtime.KeepAlive(plain)
		runtime.KeepAlive(indirect)
	}
}

// A channel has the values of its buffer, oldest first, and then those that
// senders wait with, in their order.
func TestChans(t *testing.T) {
	p := self(t)
	ch, empty := make(chan int64, 3), make(chan int64)
	for i := range int64(3) {
		ch <- i
	}
	<-ch
	ch <- 3 // the oldest is not the first in memory
	elem := p.typeOf(t, reflect.TypeFor[int64]())
	decode := func(ch chan int64) (goobject.Chan, memory.Address) {
		t.Helper()
		addr := *(*memory.Address)(unsafe.Pointer(&ch))
		data, _ := p.read(addr, p.chans.Size)
		c, err := p.chans.Chan(data, elem)
		if err != nil {
			t.Fatal(err)
		}
		return c, addr
	}
	waiting := func(ch chan int64) (senders, receivers []goobject.Waiter) {
		t.Helper()
		c, addr := decode(ch)
		for w, err := range p.chans.Waiters(addr, c.Senders, p.read, 100) {
			if err != nil {
				t.Fatal(err)
			}
			senders = append(senders, w)
		}
		for w, err := range p.chans.Waiters(addr, c.Receivers, p.read, 100) {
			if err != nil {
				t.Fatal(err)
			}
			receivers = append(receivers, w)
		}
		return senders, receivers
	}
	// Each goroutine waits before the next is started.
	for i := range int64(4) {
		go func() { ch <- 10 + i }()
		await.True(t, "the goroutine sends", func() bool { s, _ := waiting(ch); return len(s) > int(i) })
	}
	go func() {
		select {
		case <-empty:
		case empty <- 7:
		}
	}()
	await.True(t, "the goroutine selects", func() bool { s, r := waiting(empty); return len(s) > 0 && len(r) > 0 })

	c, _ := decode(ch)
	var got []int64
	for i := range c.Len {
		got = append(got, p.int64At(t, c.Elem(i), false))
	}
	senders, receivers := waiting(ch)
	for _, w := range senders {
		got = append(got, p.int64At(t, w.Elem, false))
	}
	if want := []int64{1, 2, 3, 10, 11, 12, 13}; !slices.Equal(got, want) || c.Cap != 3 || c.Closed || len(receivers) > 0 {
		t.Errorf("%v of %+v, %d receivers, want %v", got, c, len(receivers), want)
	}
	if senders, receivers = waiting(empty); len(senders) != 1 || len(receivers) != 1 || senders[0].G != receivers[0].G || p.int64At(t, senders[0].Elem, false) != 7 {
		t.Errorf("senders %+v, receivers %+v of a select", senders, receivers)
	}
	for range 7 {
		<-ch
	}
	<-empty
	close(ch)
	if c, _ = decode(ch); !c.Closed || c.Len != 0 || c.Senders != 0 {
		t.Errorf("closed: %+v", c)
	}
}

// A sync.Map has the entries that it has.
func TestSyncMap(t *testing.T) {
	p := self(t)
	var m sync.Map
	want := map[int64]int64{}
	for i := range int64(1000) {
		m.Store(i, i*2)
		want[i] = i * 2
	}
	for i := range int64(500) {
		m.Delete(i)
		delete(want, i)
	}
	typ, err := goobject.SyncMapOf(p.typeOf(t, reflect.TypeOf(&m).Elem()))
	if err != nil {
		t.Fatal(err)
	}
	if typ.Trie == nil {
		t.Fatal("no trie")
	}
	root, err := p.Pointer(memory.Address(uintptr(unsafe.Pointer(&m))).Add(typ.Root))
	if err != nil {
		t.Fatal(err)
	}
	got := map[int64]int64{}
	for n := range typ.Trie.Nodes(root, p.read, 1<<20) {
		if n.Err != nil {
			t.Fatalf("%+v", n)
		}
		if n.Entry {
			got[p.int64At(t, n.Key.Add(goobject.InterfaceData), true)] = p.int64At(t, n.Value.Add(goobject.InterfaceData), true)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
	runtime.KeepAlive(&m)
}

// madeItab is converted to an interface in a way that the compiler does not
// see, so that the runtime makes the itab.
type madeItab struct{}

func (*madeItab) ServeHTTP(http.ResponseWriter, *http.Request) {}

//go:noinline
func asHandler(v any) http.Handler { return v.(http.Handler) }

// The value in an interface has the type that it has.
func TestDynamicType(t *testing.T) {
	p := self(t)
	var empty any = &wide{}
	var full http.Handler = http.NewServeMux()
	made := asHandler(new(madeItab))
	for _, c := range []struct {
		addr        unsafe.Pointer
		iface, want reflect.Type
	}{
		{unsafe.Pointer(&empty), reflect.TypeFor[any](), reflect.TypeOf(empty)},
		{unsafe.Pointer(&full), reflect.TypeFor[http.Handler](), reflect.TypeOf(full)},
		{unsafe.Pointer(&made), reflect.TypeFor[http.Handler](), reflect.TypeOf(made)},
	} {
		word, _ := p.Pointer(memory.Address(uintptr(c.addr)))
		got, err := goobject.DynamicType(p.types, p.typeOf(t, c.iface), word)
		if err != nil || got != p.typeOf(t, c.want) || !got.Direct {
			t.Errorf("%v: %+v, %v", c.want, got, err)
		}
	}
	if got, err := goobject.ItabAt(p.types, p.typeOf(t, reflect.TypeFor[wide]()).Addr); err == nil {
		t.Errorf("a type taken for an itab: %v", got)
	}
}

// Atomic and weak pointers lead to their values; what only looks like one does
// not.
func TestTypedPointers(t *testing.T) {
	p := self(t)
	v := &wide{N: 5}
	var a atomic.Pointer[wide]
	a.Store(v)
	w := weak.Make(v)
	for _, c := range []struct {
		ptr  any
		weak bool
	}{{&a, false}, {&w, true}} {
		typ := p.typeOf(t, reflect.TypeOf(c.ptr).Elem())
		got, ok := goobject.TypedPointerOf(typ)
		if !ok || got.Weak != c.weak || got.Elem != p.typeOf(t, reflect.TypeFor[wide]()) {
			t.Errorf("%v: %+v, %v", typ, got, ok)
			continue
		}
		at := memory.Address(reflect.ValueOf(c.ptr).Pointer()).Add(got.Offset)
		if got.Weak {
			at, _ = p.Pointer(at)
		}
		if n := p.int64At(t, at, true); n != 5 {
			t.Errorf("%v: %d", typ, n)
		}
	}
	if _, ok := goobject.TypedPointerOf(p.typeOf(t, reflect.TypeFor[atomic.Int64]())); ok {
		t.Error("an atomic.Int64 taken for a pointer")
	}
	runtime.KeepAlive(v)
}
