// Command sized has as many objects and goroutines as its arguments ask for, with
// stacks of as many KiB, and waits.
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type node struct {
	next *node
	n    int
	gap  [10]*node // so that the next one is not a neighbour
}

var (
	list  *node
	index = map[int]*node{}
	total int
)

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "github.com/meminspect/meminspect/internal/acceptance/testdata/sized",
	Namespace: "sized",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "list", Expr: "list", Var: &list, Depth: 1000, Flags: meminspectimpl.HasDepth, Pos: "main.go:22"},
		{ID: 1<<63 | 2, Name: "index", Expr: "index", Var: &index, Pos: "main.go:23"},
		{ID: 1<<63 | 3, Name: "total", Expr: "total", Var: &total, Pos: "main.go:24"},
	},
}

func init() { meminspectimpl.Link(&table) }

func main() {
	var sizes [3]int
	for i := range sizes {
		sizes[i], _ = strconv.Atoi(os.Args[i+1])
	}
	objects, goroutines, kib := sizes[0], sizes[1], sizes[2]
	for i := range objects {
		list = &node{next: list, n: i}
		index[i] = list
	}
	total = objects
	deep := make(chan struct{})
	for range goroutines {
		go deepen(kib, deep)
	}
	for range goroutines {
		<-deep
	}
	// Yama lets a process read its own children only: allow every one.
	const prSetPtracer, anyProcess = 0x59616d61, ^uintptr(0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetPtracer, anyProcess, 0)
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}

//go:noinline
func deepen(kib int, deep chan struct{}) byte {
	var frame [1 << 10]byte
	if kib > 0 {
		frame[kib%len(frame)] = deepen(kib-1, deep)
		return frame[total%len(frame)]
	}
	deep <- struct{}{}
	select {}
}
