package crashtext

import (
	"reflect"
	"testing"
)

func TestStack(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []Call
		goroutine  uint64
	}{
		{"no stack", "panic: it went wrong\n", nil, 0},
		{"a panic", "panic: it went wrong\n" + stack + "\ngoroutine 7 [select]:\nmain.other()\n\t/src/other.go:1 +0x1\n", []Call{
			{Function: "main.(*Queue[...]).Push[...]", File: "/src/queue.go", Line: 17, Args: []uint64{0xc000012345, 0x4111, 0x11}, Offset: 0x25},
			{Function: "panic", File: "/usr/local/go/src/runtime/panic.go", Line: 792, Args: []uint64{0x4d2f00, 0x51a170}, Offset: 0x132},
		}, 34},
		{"redacted", "\ngoroutine 3 [running]:\nmain.f(...)\n\t/src/f.go:8\n", []Call{{Function: "main.f", File: "/src/f.go", Line: 8}}, 3},
		{"the runtime's stack first", "runtime stack:\nruntime.throw()\n\t/go/panic.go:1\n\ngoroutine 5 gp=0xc0 m=1 mp=0xc1 [running]:\nmain.g(0x1)\n\t/src/g.go:9 +0x2 fp=0x1 sp=0x2 pc=0x3\n", []Call{
			{Function: "main.g", File: "/src/g.go", Line: 9, Args: []uint64{1}, Offset: 2},
		}, 5},
	} {
		if got, goroutine := Stack(test.text); !reflect.DeepEqual(got, test.want) || goroutine != test.goroutine {
			t.Errorf("%s: %+v of goroutine %d", test.name, got, goroutine)
		}
	}
}
