// Command load holds as much as its arguments request: "regions N" registers N
// slices of 1 KiB, "graph N" keeps a tree of N nodes, "goroutines N" starts N
// goroutines that wait, "threads N" as many that wait each on its own thread.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type node struct {
	left, right *node
	key         uint64
	name        string
}

var (
	root  *node
	count int64
)

var unmarked [][]byte

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "github.com/meminspect/meminspect/internal/acceptance/testdata/load",
	Namespace: "load",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "root", Expr: "root", Var: &root, Depth: -1, Flags: meminspectimpl.HasDepth, Budget: 1 << 30},
		{ID: 1<<63 | 2, Name: "count", Expr: "count", Var: &count},
	},
}

func init() { meminspectimpl.Link(&table) }

// tree makes a balanced tree of n nodes.
func tree(n int) *node {
	if n == 0 {
		return nil
	}
	half := (n - 1) / 2
	return &node{tree(half), tree(n - 1 - half), uint64(n), "node"}
}

func main() {
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	count = int64(n)
	switch os.Args[1] {
	case "regions":
		for i := range n {
			data := make([]byte, 1<<10)
			for k := range data {
				data[k] = byte(i + k)
			}
			if _, err := meminspect.RegisterSlice(meminspect.IDDynamic, data, meminspect.Name(fmt.Sprint("region", i))); err != nil {
				panic(err)
			}
		}
	case "graph":
		root = tree(n)
	case "goroutines":
		block := make(chan int)
		for range n {
			go func() { <-block }()
		}
	case "threads":
		debug.SetMaxThreads(n + 1000)
		block := make(chan int)
		var locked sync.WaitGroup
		locked.Add(n)
		for range n {
			go func() {
				runtime.LockOSThread()
				locked.Done()
				<-block
			}()
		}
		locked.Wait()
	}
	if len(os.Args) > 3 { // MiB without a mark
		mib, err := strconv.Atoi(os.Args[3])
		if err != nil {
			panic(err)
		}
		for range mib {
			piece := make([]byte, 1<<20)
			for i := 0; i < len(piece); i += 4096 {
				piece[i] = 1
			}
			unmarked = append(unmarked, piece)
		}
	}
	time.Sleep(100 * time.Millisecond)
	fmt.Println("ready")
	time.Sleep(time.Hour)
}
