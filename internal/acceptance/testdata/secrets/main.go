// Command secrets puts secrets of eight bytes into everything that can be
// excluded, and next to each something that may be seen. The secrets are made at
// run time, so that the executable does not hold them.
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

// secret returns the n-th secret: the test knows the same formula.
func secret(n int) []byte {
	x := uint64(n+1)*0x9e3779b97f4a7c15 + 0x1234567
	var b [8]byte
	for i := range b {
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		b[i] = byte(x>>32) | 1
	}
	return b[:]
}

func array(n int) (a [8]byte) { copy(a[:], secret(n)); return a }

type password struct {
	hidden [8]byte
	more   string
}

type user struct {
	Name  string
	Token string   // excluded
	Keys  [][]byte // excluded
	Age   int64
}

type box[T any] struct {
	Label string
	Inner T
}

type sealed[T any] struct {
	Value T
}

// A pin is excluded. The shape of a generic function with it is that of a string.
type pin string

// hold returns a function that captures a value: the debug information has its shape.
func hold[T any](v T) func() T { return func() T { return v } }

// keeps returns a function that captures a value of which it takes the address.
func keeps[T any](v T) func(int) any {
	return func(i int) any { kept = append(kept, v); return kept[i] }
}

var kept []any

type shape interface{ area() int }

func (p password) area() int { return len(p.more) }

type vault struct {
	Open   string
	Closed *[8]byte // excluded
}

// What is excluded as a variable.
var (
	globalArray  [8]byte
	globalString string
	globalSlice  []byte
	globalPtr    *[8]byte
	globalMap    map[string][8]byte
)

// What is annotated, with what is excluded inside.
var (
	users    = map[string]*user{}
	words    = map[int]password{}
	list     []password
	any1     any
	shapes   []shape
	boxed    box[password]
	generic  sealed[[8]byte]
	generics []box[sealed[string]]
	vaults   []vault
	alias    []byte // the same memory as globalSlice
	counter  = int64(7)
	channel  = make(chan password, 4)
	closure  func() int
	pointers func(int) int

	heldPin      func() pin
	heldPassword func() password
	heldUser     func() user
	countedPin   func(int) any
	countedUser  func(int) any
	heldBox      func() box[pin]
)

// What is neither.
var unannotated [8]byte

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   path,
	Namespace: "secrets",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "users", Expr: "users", Var: &users},
		{ID: 1<<63 | 2, Name: "words", Expr: "words", Var: &words},
		{ID: 1<<63 | 3, Name: "list", Expr: "list", Var: &list},
		{ID: 1<<63 | 4, Name: "any1", Expr: "any1", Var: &any1},
		{ID: 1<<63 | 5, Name: "shapes", Expr: "shapes", Var: &shapes},
		{ID: 1<<63 | 6, Name: "boxed", Expr: "boxed", Var: &boxed},
		{ID: 1<<63 | 7, Name: "generic", Expr: "generic", Var: &generic},
		{ID: 1<<63 | 8, Name: "generics", Expr: "generics", Var: &generics},
		{ID: 1<<63 | 9, Name: "vaults", Expr: "vaults", Var: &vaults},
		{ID: 1<<63 | 10, Name: "alias", Expr: "alias", Var: &alias},
		{ID: 1<<63 | 11, Name: "counter", Expr: "counter", Var: &counter},
		{ID: 1<<63 | 12, Name: "globalArray", Expr: "globalArray", Var: &globalArray},
		{ID: 1<<63 | 13, Name: "channel", Expr: "channel", Var: &channel},
		{ID: 1<<63 | 14, Name: "closure", Expr: "closure", Var: &closure},
		{ID: 1<<63 | 15, Name: "pointers", Expr: "pointers", Var: &pointers},
		{ID: 1<<63 | 16, Name: "heldPin", Expr: "heldPin", Var: &heldPin},
		{ID: 1<<63 | 17, Name: "heldPassword", Expr: "heldPassword", Var: &heldPassword},
		{ID: 1<<63 | 18, Name: "heldUser", Expr: "heldUser", Var: &heldUser},
		{ID: 1<<63 | 19, Name: "countedPin", Expr: "countedPin", Var: &countedPin},
		{ID: 1<<63 | 20, Name: "countedUser", Expr: "countedUser", Var: &countedUser},
		{ID: 1<<63 | 21, Name: "heldBox", Expr: "heldBox", Var: &heldBox},
	},
	Exclusions: []meminspectimpl.Exclusion{
		{Kind: meminspectimpl.ExcludeVariable, Var: &globalArray, Package: path},
		{Kind: meminspectimpl.ExcludeVariable, Var: &globalString, Package: path},
		{Kind: meminspectimpl.ExcludeVariable, Var: &globalSlice, Package: path},
		{Kind: meminspectimpl.ExcludeVariable, Var: &globalPtr, Package: path},
		{Kind: meminspectimpl.ExcludeVariable, Var: &globalMap, Package: path},
		{Kind: meminspectimpl.ExcludeType, Var: (*password)(nil), Package: path, Type: "password"},
		{Kind: meminspectimpl.ExcludeField, Var: (*user)(nil), Offset: 16, Size: 16, Package: path, Type: "user", Field: "Token"},
		{Kind: meminspectimpl.ExcludeField, Var: (*user)(nil), Offset: 32, Size: 24, Package: path, Type: "user", Field: "Keys"},
		{Kind: meminspectimpl.ExcludeField, Var: (*vault)(nil), Offset: 16, Size: 8, Package: path, Type: "vault", Field: "Closed"},
		{Kind: meminspectimpl.ExcludeGenericType, Package: path, Type: "sealed"},
		{Kind: meminspectimpl.ExcludeType, Var: (*pin)(nil), Package: path, Type: "pin"},
	},
}

const path = "github.com/meminspect/meminspect/internal/acceptance/testdata/secrets"

func init() { meminspectimpl.Link(&table) }

func pass(n int) password { return password{array(n), string(secret(n + 1))} }

func main() {
	globalArray = array(0)
	globalString = string(secret(1))
	globalSlice = secret(2)
	a := array(3)
	globalPtr = &a
	globalMap = map[string][8]byte{"k": array(4)}
	users["ann"] = &user{"ann visible", string(secret(5)), [][]byte{secret(6), secret(7)}, 44}
	words[5] = pass(8)
	list = append(list, pass(10), pass(12))
	any1 = pass(14)
	shapes = []shape{pass(16)}
	boxed = box[password]{"label visible", pass(18)}
	generic = sealed[[8]byte]{array(20)}
	generics = []box[sealed[string]]{{"inner visible", sealed[string]{string(secret(21))}}}
	b := array(22)
	vaults = []vault{{"open visible", &b}}
	alias = globalSlice
	channel <- pass(23)
	unannotated = array(25)
	p := pass(26)
	closure = func() int { return len(p.more) + int(p.hidden[len(p.more)%len(p.hidden)]) }
	q30, q32 := pass(30), pass(32)
	pair := [2]*password{&q30, &q32}
	pointers = func(i int) int { return len(pair[i].more) }

	heldPin, countedPin = hold(pin(secret(34))), keeps(pin(secret(35)))
	heldPassword = hold(pass(36))
	heldUser = hold(user{"ann visible", string(secret(38)), [][]byte{secret(39)}, 44})
	countedUser = keeps(user{"ann visible", string(secret(40)), [][]byte{secret(41)}, 44})
	heldBox = hold(box[pin]{"label visible", pin(secret(42))})

	ready := make(chan bool)
	go func() {
		local, text := array(28), string(secret(29))
		ready <- true
		time.Sleep(time.Hour)
		runtime.KeepAlive(&local)
		fmt.Println(text)
	}()
	<-ready
	// What was made on the way is gone from the heap and is in no span.
	runtime.GC()
	if bytes.Equal(secret(0), secret(1)) {
		panic("secrets are equal")
	}
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}
