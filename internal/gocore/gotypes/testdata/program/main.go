// This program prints of its types, through reflect, what the test reads of
// them from the file. It builds with every Go from 1.21 on.
package main

import (
	"fmt"
	"net/http"
	"os"
	"reflect"
	"sync/atomic"
)

type pair[A, B any] struct {
	First  A
	Second B
}

type big [200]byte

type inner struct {
	a int8
	b *inner
}

type outer struct {
	inner
	*http.Request
	_  int32
	fn func(int, ...string) (error, bool)
	ch [3]<-chan *outer
	at atomic.Uint64
	z  struct{}
}

// roots is found in the file by its magic.
var roots = struct {
	magic [2]uint64
	count uint64
	types [20]any
}{
	magic: [2]uint64{0x1badf00d5eed1e55, 0x0ddba11c0ffee000},
	count: 20,
	types: [20]any{
		(*outer)(nil), (*pair[*http.Transport, map[string]big])(nil), (*http.Server)(nil),
		(*map[big]*outer)(nil), (*map[int8]struct{})(nil), (*map[big]big)(nil), (*map[string]big)(nil),
		(*map[big]string)(nil), (*map[struct{}]int)(nil), (*map[[128]byte][129]byte)(nil),
		(*map[any]error)(nil), (*[0]*int)(nil), (*[]struct{})(nil), (*chan<- int)(nil), (*any)(nil),
		(*error)(nil), (*complex64)(nil), (*uintptr)(nil), (*func(int) error)(nil), (*map[float64]complex64)(nil),
	},
}

func main() {
	roots.count = uint64(len(os.Args)) // so that it is data
	seen := map[reflect.Type]bool{}
	for _, root := range roots.types {
		show(reflect.TypeOf(root).Elem(), seen)
	}
}

func show(t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	fmt.Printf("%v pkg=%q name=%q kind=%d size=%d align=%d/%d\n", t, t.PkgPath(), t.Name(), t.Kind(), t.Size(), t.Align(), t.FieldAlign())
	switch t.Kind() {
	case reflect.Struct:
		for i := 0; i < t.NumField(); i++ {
			f := t.Field(i)
			fmt.Printf("\t%s %v @%d %v %v\n", f.Name, f.Type, f.Offset, f.Anonymous, f.IsExported())
		}
		for i := 0; i < t.NumField(); i++ {
			show(t.Field(i).Type, seen)
		}
	case reflect.Map:
		fmt.Printf("\tindirect %v %v\n", t.Key().Size() > 128, t.Elem().Size() > 128)
		show(t.Key(), seen)
		show(t.Elem(), seen)
	case reflect.Array, reflect.Pointer, reflect.Slice, reflect.Chan:
		show(t.Elem(), seen)
	}
}
