// Command statuses has one region, of which a core has as much as the region's
// name promises. It prints "ready" and obeys the lines of its input:
//
//	own FILE       write a core of itself
//	live FILE      copy a live image, as an agent does
//	minidump FILE  keep a minidump table
//
//	statuses NAME
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"

	meminspect "github.com/meminspect/meminspect/runtime"
	"github.com/meminspect/meminspect/runtime/coreimage"
	"github.com/meminspect/meminspect/runtime/meminspectimpl"
	"github.com/meminspect/meminspect/runtime/minidump"
)

type node struct {
	Value int
	Next  *node
}

type account struct {
	ID  int
	Key [2]int // excluded
}

var (
	number  = 1
	null    *node
	list    *node
	deep    *node
	words   []string
	block   [64 << 10]byte
	secret  account
	pointer unsafe.Pointer
	lost    []int
	bad     string
	torn    [64 << 10]atomic.Int64
)

var table = meminspectimpl.Table{
	Magic: [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1}, Version: meminspectimpl.TableVersion,
	Package: "main", Namespace: "main",
}

// entries are the regions in tables, by name.
var entries = map[string]meminspectimpl.Entry{
	"number":  {Var: &number},
	"null":    {Var: &null},
	"list":    {Var: &list},
	"deep":    {Var: &deep, Depth: 2, Flags: meminspectimpl.HasDepth},
	"words":   {Var: &words, Budget: 200},
	"block":   {Var: &block, Budget: 4 << 10},
	"secret":  {Var: &secret},
	"pointer": {Var: &pointer},
	"lost":    {Var: &lost},
	"bad":     {Var: &bad},
	"torn":    {Var: &torn},
}

// dynamic are the regions that are registered at run time.
var dynamic = map[string]func(...meminspect.Option) (meminspect.ID, error){
	"text": func(o ...meminspect.Option) (meminspect.ID, error) {
		return meminspect.RegisterString(meminspect.IDDynamic, strings.Clone("some text"), o...)
	},
	"foreign": func(o ...meminspect.Option) (meminspect.ID, error) {
		return meminspect.RegisterForeign(meminspect.IDDynamic, mapped(2), 2*pageSize, o...)
	},
	"half": func(o ...meminspect.Option) (meminspect.ID, error) {
		return meminspect.RegisterForeign(meminspect.IDDynamic, mapped(1), 2*pageSize, o...)
	},
	"unmapped": func(o ...meminspect.Option) (meminspect.ID, error) {
		return meminspect.RegisterForeign(meminspect.IDDynamic, mapped(0), 2*pageSize, o...)
	},
	"gone": func(o ...meminspect.Option) (meminspect.ID, error) {
		// A cleanup that never returns keeps the region registered after its object
		// was collected.
		runtime.GOMAXPROCS(1)
		runtime.AddCleanup(new([100]int), func(int) { select {} }, 0)
		runtime.GC()
		id, err := meminspect.RegisterWeak(meminspect.IDDynamic, new([100]int), o...)
		runtime.GC()
		return id, err
	},
}

const pageSize = 4 << 10

// next is where nothing is mapped, and where the kernel maps nothing on its own.
var next = uintptr(1 << 36)

// mapped returns the address of two pages, of which the first n are mapped.
func mapped(n int) uintptr {
	const fixedNoReplace = 0x100000
	addr := next
	next += 1 << 20
	if n > 0 {
		if _, _, errno := syscall.Syscall6(syscall.SYS_MMAP, addr, uintptr(n*pageSize), syscall.PROT_READ|syscall.PROT_WRITE,
			syscall.MAP_ANON|syscall.MAP_PRIVATE|fixedNoReplace, ^uintptr(0), 0); errno != 0 {
			fail(errno)
		}
	}
	for i := range uintptr(n * pageSize) {
		*(*byte)(unsafe.Add(unsafe.Pointer(nil), addr+i)) = 'm'
	}
	return addr
}

func main() {
	name := os.Args[1]
	for i := range 3 {
		list = &node{i, list}
	}
	for i := range 9 {
		deep = &node{i, deep}
	}
	for i := range 100 {
		words = append(words, fmt.Sprint("word ", i))
	}
	for i := range block {
		block[i] = 'b'
	}
	secret = account{1, [2]int{2, 3}}
	pointer = unsafe.Pointer(list)
	*(*[2]uintptr)(unsafe.Pointer(&bad)) = [2]uintptr{mapped(2), 1 << 60}
	*(*[3]uintptr)(unsafe.Pointer(&lost)) = [3]uintptr{mapped(0), 2, 2}
	if name == "torn" {
		go change()
	}
	if entry, ok := entries[name]; ok {
		entry.ID, entry.Name, entry.Expr, entry.Pos = 1<<63|1, name, name, "main.go:1"
		table.Entries = []meminspectimpl.Entry{entry}
		if name == "secret" {
			table.Exclusions = []meminspectimpl.Exclusion{{
				Kind: meminspectimpl.ExcludeField, Var: (*account)(nil), Offset: uint64(unsafe.Offsetof(secret.Key)), Size: uint64(unsafe.Sizeof(secret.Key)),
				Package: "main", Type: "account", Field: "Key", Pos: "main.go:1",
			}}
		}
		meminspectimpl.Link(&table)
	} else {
		must(dynamic[name](meminspect.Name(name)))
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); fmt.Println("ready") {
		command, file, _ := strings.Cut(in.Text(), " ")
		switch command {
		case "own":
			if err := coreimage.WriteFile(file); err != nil {
				fail(err)
			}
		case "strict":
			if err := coreimage.WriteFile(file, coreimage.Strict()); err != nil {
				fail(err)
			}
		case "live":
			copyLive(file)
		case "minidump":
			if _, err := minidump.Open(file); !weak(err) {
				fail(err)
			}
		}
	}
}

// weak reports whether all of an error is that a region is weak.
func weak(err error) bool {
	return err == nil || errors.Is(err, coreimage.ErrWeak)
}

// copyLive does the work of an agent that copies a live image.
func copyLive(file string) {
	live, err := coreimage.NewLive(100)
	if !weak(err) {
		fail(err)
	}
	mem, out := must(os.Open("/proc/self/mem")), must(os.Create(file))
	for _, p := range live.Places() {
		b := make([]byte, (p.Size+3)&^3)
		_, _ = mem.ReadAt(b[:p.Size], int64(p.Addr)) // what cannot be read is zero
		must(out.Write(b))
	}
	if err := out.Close(); err != nil {
		fail(err)
	}
}

// change changes torn without a pause.
func change() {
	for {
		for i := range torn {
			torn[i].Add(1)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		fail(err)
	}
	return v
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
