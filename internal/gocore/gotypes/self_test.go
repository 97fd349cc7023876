package gotypes_test

import (
	"go/ast"
	"go/token"
	"net/http"
	"os"
	"reflect"
	"sync/atomic"
	"testing"
	"text/template"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// self returns the types of the test's own program.
func self(tb testing.TB) *gotypes.Set {
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
	var bias memory.Address
	if file.Type == 3 { // position-independent: the runtime knows where main is
		tb.Skip("the test's executable is position-independent")
	}
	p, err := module.OfImage(file.Loaded(bias), file)
	if err != nil {
		tb.Fatal(err)
	}
	live := memory.Section{Range: memory.Range{End: 1 << 47}, File: mem}
	return gotypes.New(live, p)
}

// addrOf returns the address of a type's descriptor in this process.
func addrOf(t reflect.Type) memory.Address {
	return memory.Address((*[2]uintptr)(unsafe.Pointer(&t))[1])
}

type (
	pair[A, B any] struct {
		First  A
		Second B
	}
	big   [200]byte
	inner struct {
		a int8
		b *inner
	}
	outer struct {
		inner
		*http.Request
		_  int32
		fn func(int, ...string) (error, bool)
		ch [3]<-chan *outer
		u  unsafe.Pointer
		at atomic.Uint64
		z  struct{}
	}
	named map[big]*pair[outer, map[string]big]
)

var roots = []any{
	outer{}, named{}, pair[*http.Transport, template.Template]{}, &http.Server{}, &ast.File{}, token.NewFileSet(),
	map[int8]struct{}{}, map[big]big{}, map[string]big{}, map[big]string{}, map[struct{}]int{}, map[[128]byte][129]byte{},
	map[any]error{}, map[float64]complex64{}, [0]int{}, [0]*int{}, []struct{}{}, make(chan<- int), (func())(nil),
	new(any), new(error), uintptr(0), complex64(0), uint16(0), http.DefaultTransport,
}

// Every type that can be reached is what reflect reports.
func TestTypesAsReflect(t *testing.T) {
	set := self(t)
	seen := map[reflect.Type]bool{}
	var check func(want reflect.Type)
	check = func(want reflect.Type) {
		if seen[want] || t.Failed() {
			return
		}
		seen[want] = true
		got, err := set.At(addrOf(want))
		if err != nil {
			t.Errorf("%v: %v", want, err)
			return
		}
		if !got.Static || got.String() != want.String() || got.Name() != want.Name() || got.PkgPath != want.PkgPath() ||
			reflect.Kind(got.Kind) != want.Kind() || got.Size != uint64(want.Size()) ||
			got.Align != uint64(want.Align()) || got.FieldAlign != uint64(want.FieldAlign()) {
			t.Errorf("%v: %+v", want, got)
			return
		}
		switch want.Kind() {
		case reflect.Struct:
			if len(got.Fields) != want.NumField() {
				t.Errorf("%v: %d fields, want %d", want, len(got.Fields), want.NumField())
				return
			}
			for i, f := range got.Fields {
				w := want.Field(i)
				if f.Name != w.Name || f.Offset != uint64(w.Offset) || f.Embedded != w.Anonymous || f.Exported != w.IsExported() || f.Type.Addr != addrOf(w.Type) {
					t.Errorf("%v: field %+v, want %+v", want, f, w)
				}
				check(w.Type)
			}
		case reflect.Func:
			in, out, err := got.Params()
			if err != nil || len(in) != want.NumIn() || len(out) != want.NumOut() || got.Variadic != want.IsVariadic() {
				t.Errorf("%v: %d in, %d out, %v", want, len(in), len(out), err)
				return
			}
			for i := range in {
				check(want.In(i))
			}
			for i := range out {
				check(want.Out(i))
			}
		case reflect.Interface:
			if got.Methods != want.NumMethod() {
				t.Errorf("%v: %d methods", want, got.Methods)
			}
		case reflect.Map:
			checkMap(t, got, want)
			check(want.Key())
			check(want.Elem())
		case reflect.Array:
			if got.Len != uint64(want.Len()) {
				t.Errorf("%v: length %d", want, got.Len)
			}
			check(want.Elem())
		case reflect.Pointer, reflect.Slice, reflect.Chan:
			if elem, err := got.Elem(); err != nil || elem.Addr != addrOf(want.Elem()) {
				t.Errorf("%v: elements %v, %v", want, elem, err)
			}
			check(want.Elem())
		}
	}
	for _, root := range roots {
		check(reflect.TypeOf(root))
		check(reflect.PointerTo(reflect.TypeOf(root)).Elem())
	}
	if len(seen) < 300 {
		t.Errorf("only %d types were seen", len(seen))
	}
}

func checkMap(t *testing.T, got *gotypes.Type, want reflect.Type) {
	l, err := got.MapLayout()
	if err != nil {
		t.Errorf("%v: %v", want, err)
		return
	}
	const direct = 128 // larger keys and values are stored through a pointer
	if l.Key.Addr != addrOf(want.Key()) || l.Elem.Addr != addrOf(want.Elem()) ||
		l.IndirectKey != (want.Key().Size() > direct) || l.IndirectElem != (want.Elem().Size() > direct) {
		t.Errorf("%v: layout %+v", want, l)
	}
}

// Types that the program makes while it runs are read too, without a name of
// their own.
func TestMadeTypes(t *testing.T) {
	set := self(t)
	made := reflect.StructOf([]reflect.StructField{
		{Name: "A", Type: reflect.TypeFor[int32]()},
		{Name: "B", Type: reflect.ArrayOf(7, reflect.TypeFor[*outer]())},
	})
	got, err := set.At(addrOf(made))
	if err != nil {
		t.Fatal(err)
	}
	if want := "struct { A int32; B [7]*gotypes_test.outer }"; got.Static || got.String() != want || got.Size != uint64(made.Size()) {
		t.Errorf("%v of %d bytes, want %s of %d", got, got.Size, want, made.Size())
	}
}
