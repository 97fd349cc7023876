// Command selfcore writes a core of itself and prints what its variables hold
// at that moment, a line each: expression, tab, value, and for a 64-bit integer
// another tab and its address. Those that were not captured come last, after
// a line "--".
//
//	selfcore CORE [strict|data]
package main

import (
	"fmt"
	"os"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/coreimage"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type order struct {
	ID    int64
	Price float64
	Paid  bool
	Lines [3]uint16
}

// Captured, through a table as generated code has it.
var (
	counter  = int64(42)
	flags    [4]bool
	ratio    = 0.5
	last     = order{ID: 1, Price: 9.5}
	arena    [4096]byte
	registry struct {
		before int64
		inner  order
		after  int64
	}
)

// Registered at run time.
var (
	dynamic  = int32(-3)
	elements [6]int64
)

// Not captured: in data, with an initial value that a debugger would show; in
// bss, where it would show 0; and next to a member that is captured.
var (
	forgotten = int64(1234567)
	empty     int64
	blank     [8]int64
)

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "main",
	Namespace: "main",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "counter", Expr: "counter", Var: &counter, Pos: "main.go:27"},
		{ID: 1<<63 | 2, Name: "flags", Expr: "flags", Var: &flags, Pos: "main.go:28"},
		{ID: 1<<63 | 3, Name: "ratio", Expr: "ratio", Var: &ratio, Pos: "main.go:29"},
		{ID: 1<<63 | 4, Name: "last", Expr: "last", Var: &last, Pos: "main.go:30"},
		{ID: 1<<63 | 5, Name: "arena", Expr: "arena", Var: &arena, Size: 16, Flags: meminspectimpl.Area, Pos: "main.go:31"},
		{ID: 1<<63 | 6, Name: "inner", Expr: "registry.inner", Var: &registry.inner, Flags: meminspectimpl.Member, Pos: "main.go:32"},
	},
}

func init() { meminspectimpl.Link(&table) }

func main() {
	counter, flags[2], ratio = 43, true, 0.25
	last.ID, last.Lines[1] = 7, 65535
	arena[3], arena[20] = 9, 9
	registry.before, registry.after = 5, 6
	registry.inner = order{ID: -1, Paid: true}
	dynamic--
	elements[2], elements[5] = 22, 55
	forgotten++
	empty, blank[3] = empty+3, 4

	if _, err := meminspect.Register(meminspect.IDDynamic, &dynamic, meminspect.Name("dynamic")); err != nil {
		fail(err)
	}
	if _, err := meminspect.RegisterSlice(meminspect.IDDynamic, elements[1:4]); err != nil {
		fail(err)
	}
	var opts []coreimage.Option
	for _, arg := range os.Args[2:] {
		switch arg {
		case "strict":
			opts = append(opts, coreimage.Strict())
		case "data":
			opts = append(opts, coreimage.Data())
		}
	}
	if err := coreimage.WriteFile(os.Args[1], opts...); err != nil {
		fail(err)
	}
	for _, v := range []struct {
		expr  string
		value any
		addr  *int64
	}{
		{"main.counter", counter, &counter},
		{"main.flags[2]", flags[2], nil},
		{"main.flags[1]", flags[1], nil},
		{"main.ratio", ratio, nil},
		{"main.last.ID", last.ID, &last.ID},
		{"main.last.Price", last.Price, nil},
		{"main.last.Lines[1]", last.Lines[1], nil},
		{"main.arena[3]", arena[3], nil},
		{"main.registry.inner.ID", registry.inner.ID, &registry.inner.ID},
		{"main.registry.inner.Paid", registry.inner.Paid, nil},
		{"main.dynamic", dynamic, nil},
		{"main.elements[2]", elements[2], &elements[2]},
		{"--", "", nil},
		{"main.forgotten", forgotten, &forgotten},
		{"main.empty", empty, &empty},
		{"main.blank[3]", blank[3], &blank[3]},
		{"main.registry.before", registry.before, &registry.before},
		{"main.registry.after", registry.after, &registry.after},
		{"main.elements[5]", elements[5], &elements[5]},
	} {
		fmt.Printf("%s\t%v\t%p\n", v.expr, v.value, v.addr)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
