// Command selfexcluded writes a core of itself in which a struct has an
// excluded field between others.
package main

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/coreimage"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type account struct {
	ID    int64
	Key   [2]int64 // excluded
	Count int64
}

// In data, where debuggers have initial values of the executable.
var owner = account{ID: 1, Key: [2]int64{2, 3}, Count: 4}

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "main",
	Namespace: "main",
	Entries:   []meminspectimpl.Entry{{ID: 1<<63 | 1, Name: "owner", Expr: "owner", Var: &owner, Pos: "main.go:21"}},
	Exclusions: []meminspectimpl.Exclusion{{
		Kind: meminspectimpl.ExcludeField, Var: (*account)(nil), Offset: uint64(unsafe.Offsetof(owner.Key)), Size: uint64(unsafe.Sizeof(owner.Key)),
		Package: "main", Type: "account", Field: "Key", Pos: "main.go:16",
	}},
}

func init() { meminspectimpl.Link(&table) }

func main() {
	owner = account{ID: 11, Key: [2]int64{22, 33}, Count: 44}
	if err := coreimage.WriteFile(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
