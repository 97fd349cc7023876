package module_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// The calls of this test are in its own executable, at their places and nowhere else. Those of
// a generic function have no type arguments.
func TestHas(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := exe.Open(path)
	if err != nil {
		t.Skip("not an ELF system: ", err)
	}
	defer file.Close()
	call := placed[int]()
	if call.Name != "github.com/meminspect/meminspect/internal/gocore/module_test.placed[...]" {
		t.Fatal(call.Name)
	}
	if !module.Has(file, []module.PlacedCall{call}) {
		t.Errorf("it does not have %+v", call)
	}
	for name, wrong := range map[string]func(*module.PlacedCall){
		"line":     func(c *module.PlacedCall) { c.Line += 100 },
		"file":     func(c *module.PlacedCall) { c.File = "/elsewhere.go" },
		"function": func(c *module.PlacedCall) { c.Name = "main.main" },
		"offset":   func(c *module.PlacedCall) { c.Offset = 1 << 40 },
	} {
		other := call
		wrong(&other)
		if module.Has(file, []module.PlacedCall{call, other}) {
			t.Errorf("it has %+v, with another %s", other, name)
		}
	}
}

//go:noinline
func placed[T any]() module.PlacedCall {
	var pcs [1]uintptr
	runtime.Callers(1, pcs[:])
	frame, _ := runtime.CallersFrames(pcs[:]).Next()
	return module.PlacedCall{
		Call:   module.Call{Name: frame.Function, File: frame.File, Line: frame.Line},
		Offset: uint64(pcs[0] - runtime.FuncForPC(pcs[0]).Entry()),
	}
}
