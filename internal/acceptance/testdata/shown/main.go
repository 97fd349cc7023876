// Command shown has annotated values in places of which captures leave something
// out: in its arguments and its environment, on the stacks of goroutines that wait
// to send, next to what it excludes.
package main

import (
	"os"
	"syscall"
	"time"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type job struct {
	Name string
	Size [6]uint64
	Done bool
}

type account struct {
	Name, Token string // Token is excluded
	Codes       []uint64
}

var (
	argument    string
	environment string
	raw         []byte
	jobs        = make(chan job)
	names       = make(chan string)
	accounts    []*account
	buffer      [1 << 16]uint64
)

const path = "github.com/meminspect/meminspect/internal/acceptance/testdata/shown"

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   path,
	Namespace: "shown",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "argument", Expr: "argument", Var: &argument},
		{ID: 1<<63 | 2, Name: "environment", Expr: "environment", Var: &environment},
		{ID: 1<<63 | 3, Name: "jobs", Expr: "jobs", Var: &jobs},
		{ID: 1<<63 | 4, Name: "names", Expr: "names", Var: &names},
		{ID: 1<<63 | 5, Name: "accounts", Expr: "accounts", Var: &accounts},
		{ID: 1<<63 | 6, Name: "raw", Expr: "raw", Var: &raw},
		{ID: 1<<63 | 7, Name: "buffer", Expr: "buffer", Var: &buffer},
	},
	Exclusions: []meminspectimpl.Exclusion{
		{Kind: meminspectimpl.ExcludeField, Var: (*account)(nil), Offset: 16, Size: 16, Package: path, Type: "account", Field: "Token"},
	},
}

func init() { meminspectimpl.Link(&table) }

func main() {
	argument, environment, raw = os.Args[1], os.Getenv("SHOWN"), []byte(os.Args[1])
	for range 100 {
		accounts = append(accounts, &account{Name: "account", Token: "token", Codes: make([]uint64, 8)})
	}
	for i := range buffer {
		buffer[i] = 1
	}
	go send(7)
	go func() { names <- argument }()
	time.Sleep(50 * time.Millisecond)
	// Yama lets a process read its own children only: allow every one.
	const prSetPtracer, anyProcess = 0x59616d61, ^uintptr(0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetPtracer, anyProcess, 0)
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}

//go:noinline
func send(n uint64) { jobs <- job{Name: "on a stack", Size: [6]uint64{n, n, n, n, n, n}} }
