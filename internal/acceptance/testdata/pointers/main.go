// Command pointers has words in its local variables that are addresses of annotated values,
// and words that are not. It prints a line for each, "keep" or "drop" with its value, then
// "ready PID", and waits.
package main

import (
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type job struct {
	ID    int
	Name  string
	Token *token // excluded
	Next  *job
}

type token struct{ Words [16]uint64 }

type state struct {
	Jobs   map[int]*job
	Queue  chan *job
	Number *int
	Also   *token // what the excluded variable leads to
}

var (
	annotated state
	password  = new(token) // excluded
	private   = new(job)   // not annotated
)

const path = "github.com/meminspect/meminspect/internal/acceptance/testdata/pointers"

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   path,
	Namespace: "pointers",
	Entries:   []meminspectimpl.Entry{{ID: 1<<63 | 1, Name: "annotated", Expr: "annotated", Var: &annotated}},
	Exclusions: []meminspectimpl.Exclusion{
		{Kind: meminspectimpl.ExcludeVariable, Var: &password, Package: path},
		{Kind: meminspectimpl.ExcludeField, Var: (*job)(nil), Offset: uint64(unsafe.Offsetof(job{}.Token)), Size: uint64(unsafe.Sizeof(job{}.Token)), Package: path, Type: "job", Field: "Token"},
	},
}

func init() { meminspectimpl.Link(&table) }

// work has its arguments on its stack while it waits.
//
//go:noinline
func work(j *job, jobs map[int]*job, queue chan *job, number *int, wait chan bool) {
	<-wait
	fmt.Println(j.ID, len(jobs), cap(queue), *number)
}

//go:noinline
func secrets(words [12]uint64, t, field *token, p *job, inside **job, wait chan bool) {
	<-wait
	fmt.Println(words, t, field, p, inside)
}

func main() {
	j := &job{ID: 3, Name: "third", Token: new(token)}
	annotated = state{Jobs: map[int]*job{3: j}, Queue: make(chan *job, 3), Number: new(int), Also: password}
	address := func(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }
	value := func(v any) uint64 { return address((*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1]) }
	base := address(unsafe.Pointer(j))
	words := [12]uint64{
		0x5ec7e75ec7e75ec7, 42, base + 1, base + 4, base - 8, base ^ 1<<40, base << 16, ^base,
		address(unsafe.Pointer(j.Token)) + 8, address(unsafe.Pointer(password)) + 16, base | 1<<63, 0x68756e7465723200,
	}
	wait := make(chan bool)
	go work(j, annotated.Jobs, annotated.Queue, annotated.Number, wait)
	go secrets(words, password, j.Token, private, &j.Next, wait)
	time.Sleep(50 * time.Millisecond)
	for _, word := range []uint64{base, value(annotated.Jobs), value(annotated.Queue), address(unsafe.Pointer(annotated.Number)), value(wait)} {
		fmt.Printf("keep %#x\n", word)
	}
	for _, word := range append(words[:], address(unsafe.Pointer(password)), address(unsafe.Pointer(j.Token)), address(unsafe.Pointer(private)), address(unsafe.Pointer(&j.Next))) {
		fmt.Printf("drop %#x\n", word)
	}
	fmt.Println("ready", os.Getpid())
	runtime.KeepAlive(j)
	time.Sleep(time.Hour)
}
