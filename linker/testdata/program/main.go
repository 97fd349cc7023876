// Command program is built in every way that Go knows, and prints of its
// annotations what the linker step must find in the file.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"

	"example.com/program/queue"
	"example.com/program/store"
)

//meminspect:entry
var counter int64 = 42

//meminspect:entry name=Greeting depth=1 budget=4KiB `note=said at start`
var greeting = "hello, world"

//meminspect:entry
var sessions map[string]*session

//meminspect:entry
var handler func(int) error

//meminspect:entry name=Second member=at[1].When
var levels struct {
	at [3]struct {
		Mark int32
		When int64
	}
}

//meminspect:area size=headerLen
var arena [1 << 16]byte

const headerLen = 64

//meminspect:entry depth=2
var root node

//meminspect:exclude
var signingKey = []byte("do not look")

//meminspect:id Config
//meminspect:id Forgotten

//meminspect:layout
type session struct {
	User string
	//meminspect:exclude
	Token [16]byte
	Last  *session
	any
}

type node struct {
	Left, Right *node
	Value       [4]uint64
}

// A pair has instances.
type pair[A, B any] struct {
	First  A
	Second B
}

//meminspect:entry
var instance pair[*session, map[int8]pair[string, error]]

//meminspect:number
const protocol = -7

func main() {
	if len(os.Args) > 1 && os.Args[1] == "wait" {
		fmt.Println("ready")
		var b [1]byte
		os.Stdin.Read(b[:])
		return
	}
	if _, err := meminspect.Register(IDConfig, &root); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	queue.Push(len(os.Args))
	store.Put(string(signingKey), arena[:])
	if handler != nil {
		handler(len(levels.at) + len(sessions) + len(greeting) + int(counter))
	}
	say()
}

// An entry is what the program prints of one of its entries.
type entry struct {
	Package, Name, Expr, ID, Type string
	Address, Size                 uint64
	Bytes, Budget                 uint64
	Depth                         int32
	Flags                         uint32
	Pos, Note                     string
}

func say() {
	var all []entry
	for r := range meminspect.Regions() {
		if r.Kind != meminspect.KindEntry {
			continue
		}
		e := entry{
			r.Package, r.Name, r.Expr, fmt.Sprintf("%016x", uint64(r.ID)), r.Type().String(),
			uint64(r.Addr()), uint64(r.Type().Size()), 0, r.Budget, int32(r.Depth), 0, r.Pos, r.Note,
		}
		if r.Size < e.Size {
			e.Bytes, e.Flags = r.Size, meminspectimpl.Area
		}
		if strings.ContainsAny(r.Expr, ".[") {
			e.Flags |= meminspectimpl.Member
		}
		if r.HasDepth {
			e.Flags |= meminspectimpl.HasDepth
		}
		if r.Summary {
			e.Flags |= meminspectimpl.Summary
		}
		all = append(all, e)
	}
	out := struct {
		Go      string
		Entries []entry
	}{runtime.Version(), all}
	json.NewEncoder(os.Stdout).Encode(out)
}
