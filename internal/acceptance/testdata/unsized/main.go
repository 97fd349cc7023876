// Command unsized has excluded unsafe.Pointers to objects among public ones of
// their size, to a large object and, if its argument is variable, to a variable.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

const rows = 184

type row struct{ text [64]byte }

type holder struct {
	hidden unsafe.Pointer // excluded
	rows   []*row
}

var (
	holders []*holder
	aliases [][]byte // of what the excluded pointers lead to
	secret  [48]byte
	public  [48]byte
)

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "github.com/meminspect/meminspect/internal/acceptance/testdata/unsized",
	Namespace: "unsized",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "holders", Expr: "holders", Var: &holders, Pos: "main.go:28"},
		{ID: 1<<63 | 2, Name: "aliases", Expr: "aliases", Var: &aliases, Pos: "main.go:29"},
		{ID: 1<<63 | 3, Name: "secret", Expr: "secret", Var: &secret, Pos: "main.go:30"},
		{ID: 1<<63 | 4, Name: "public", Expr: "public", Var: &public, Pos: "main.go:31"},
	},
	Exclusions: []meminspectimpl.Exclusion{
		{Kind: meminspectimpl.ExcludeField, Var: (*holder)(nil), Offset: uint64(unsafe.Offsetof(holder{}.hidden)), Size: uint64(unsafe.Sizeof(holder{}.hidden)), Package: "main", Type: "holder", Field: "hidden", Pos: "main.go:23"},
	},
}

func init() { meminspectimpl.Link(&table) }

// hide fills memory with a mark that must not be in a core, and returns it in the
// middle.
func hide(b []byte) unsafe.Pointer {
	for at := 0; at+16 <= len(b); at += 16 {
		copy(b[at:], "secret-mark-here")
	}
	aliases = append(aliases, b)
	return unsafe.Pointer(&b[len(b)/2])
}

func main() {
	for i := range rows {
		r := new(row)
		copy(r.text[:], fmt.Sprintf("public row %d.", i))
		if i%8 == 0 {
			holders = append(holders, &holder{hidden: hide(make([]byte, 64))})
		}
		last := holders[len(holders)-1]
		last.rows = append(last.rows, r)
	}
	holders = append(holders, &holder{hidden: hide(make([]byte, 40<<10))})
	copy(public[:], "public variable.")
	if os.Args[1] == "variable" {
		holders = append(holders, &holder{hidden: hide(secret[:])})
	}
	// Yama lets a process read its own children only: allow every one.
	const prSetPtracer, anyProcess = 0x59616d61, ^uintptr(0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetPtracer, anyProcess, 0)
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}
