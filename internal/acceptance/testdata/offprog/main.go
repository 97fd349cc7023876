// Command offprog uses everything of the runtime that a program would, to see
// what of it a build with the tag meminspect_off keeps.
package main

import (
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

var counter int

var table = meminspectimpl.Table{
	Magic:   [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version: meminspectimpl.TableVersion,
	Package: "example.com/offprog",
	Entries: []meminspectimpl.Entry{{ID: 1 << 63, Name: "counter", Expr: "counter", Var: &counter}},
}

func init() { meminspectimpl.Link(&table) }

func main() {
	id, err := meminspect.Register(meminspect.IDDynamic, &counter, meminspect.Name("n"), meminspect.Depth(2))
	if err != nil {
		panic(err)
	}
	meminspect.RegisterSlice(meminspect.IDDynamic, []int{1})
	meminspect.RegisterString(meminspect.IDDynamic, "s")
	meminspect.RegisterWeak(meminspect.IDDynamic, new(int))
	meminspect.Replace(id, &counter)
	meminspect.Exclude(&counter)
	meminspect.Mark(make([]byte, 10), 1, 2)
	beat := meminspect.NewHeartbeat("beat", time.Second)
	beat.Beat()
	beat.Stop()
	for r := range meminspect.Regions() {
		println(r.Size)
	}
	stop := meminspect.Notify(func(e meminspect.Event) { println(e.Added) })
	stop()
	meminspect.Unregister(id)
	println("done")
}
