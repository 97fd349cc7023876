// Command sessions has annotated variables of many kinds, and as many sessions as its
// argument asks for. It writes its process ID to a file. With a third argument nothing
// is excluded. At SIGUSR1 it changes its
// values, as a server does in time, and writes the file's name with ".changed".
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/meminspectimpl"
)

type order struct {
	ID    int
	Item  string
	Price float64
}

type record struct {
	Created time.Duration
	Owner   string
}

type session struct {
	record
	User   string
	Orders []order
	Tags   map[string]int
	Next   *session
	Token  string // excluded
}

type point struct{ X, Y int }

type circle struct {
	Center point
	Radius float64
}

func (c *circle) Area() float64 { return 3 * c.Radius * c.Radius }

type shape interface{ Area() float64 }

type worklist struct {
	mu     sync.Mutex
	jobs   []int
	done   chan int
	served atomic.Uint64
}

var (
	sessions       = map[string]*session{}
	byID           = map[int]string{7: "seven", -3: "minus three"}
	byPoint        = map[point]string{{1, 2}: "here", {3, 4}: "there"}
	queue          = worklist{jobs: []int{10, 11, 12, 13, 14}, done: make(chan int, 4)}
	drawn    shape = &circle{point{5, 6}, 7}
	any1     any   = point{8, 9}
	current  atomic.Pointer[session]
	cache    sync.Map
	empty    *session
	greeting = "hello, world"
	errServe = fmt.Errorf("serve: %w", errors.New("no route"))
)

var table = meminspectimpl.Table{
	Magic:     [2]uint64{meminspectimpl.TableMagic0, meminspectimpl.TableMagic1},
	Version:   meminspectimpl.TableVersion,
	Package:   "main",
	Namespace: "sessions",
	Entries: []meminspectimpl.Entry{
		{ID: 1<<63 | 1, Name: "sessions", Expr: "sessions", Var: &sessions},
		{ID: 1<<63 | 2, Name: "byID", Expr: "byID", Var: &byID},
		{ID: 1<<63 | 3, Name: "byPoint", Expr: "byPoint", Var: &byPoint},
		{ID: 1<<63 | 4, Name: "queue", Expr: "queue", Var: &queue},
		{ID: 1<<63 | 5, Name: "drawn", Expr: "drawn", Var: &drawn},
		{ID: 1<<63 | 6, Name: "any1", Expr: "any1", Var: &any1},
		{ID: 1<<63 | 7, Name: "current", Expr: "current", Var: &current},
		{ID: 1<<63 | 8, Name: "cache", Expr: "cache", Var: &cache},
		{ID: 1<<63 | 9, Name: "empty", Expr: "empty", Var: &empty},
		{ID: 1<<63 | 10, Name: "greeting", Expr: "greeting", Var: &greeting},
		{ID: 1<<63 | 11, Name: "errServe", Expr: "errServe", Var: &errServe},
	},
	Exclusions: []meminspectimpl.Exclusion{{
		Kind: meminspectimpl.ExcludeField, Var: (*session)(nil), Offset: uint64(unsafe.Offsetof(session{}.Token)),
		Size: uint64(unsafe.Sizeof(session{}.Token)), Package: "main", Type: "session", Field: "Token",
	}},
}

func init() {
	if len(os.Args) > 3 { // of which an argument makes all visible
		table.Exclusions = nil
	}
	meminspectimpl.Link(&table)
}

func add(user string, orders ...order) *session {
	s := &session{record: record{90 * time.Second, "root"}, User: user, Orders: orders, Tags: map[string]int{"visits": len(orders)}, Token: "secret-" + user}
	sessions[user] = s
	return s
}

func main() {
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	ada := add("ada", order{1, "book", 9.5}, order{2, "pen", 1.25})
	ada.Next = add("bob", order{3, "lamp", 30})
	for i := range count {
		add(fmt.Sprintf("user%06d", i), order{1000 + i, "item", float64(i)})
	}
	current.Store(ada)
	cache.Store("ada", 99)
	queue.done <- 21
	queue.served.Store(100)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGUSR1)
	report(os.Args[2])
	for range changed {
		change(ada)
		report(os.Args[2] + ".changed")
	}
}

// change makes a value of each kind differ.
func change(ada *session) {
	ada.Orders = append([]order{{0, "map", 4}}, ada.Orders...)
	ada.Orders[2].Price = 2.5
	delete(sessions, "bob")
	add("eve")
	ada.Next = nil
	queue.jobs = []int{10, 12, 13, 14, 15}
	queue.served.Add(50)
	// Another address with the same value is no change.
	drawn = &circle{point{5, 6}, 7}
	go func() { queue.mu.Lock(); select {} }()
}

func report(path string) {
	if err := os.WriteFile(path+".part", []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(path+".part", path); err != nil {
		panic(err)
	}
}
