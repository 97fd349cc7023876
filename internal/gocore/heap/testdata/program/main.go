// Command program fills its heap with objects of every kind that the collector
// knows and collects its garbage. For each byte that it reads it writes what the
// runtime counts.
package main

import (
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

type session struct {
	user string
	data []byte
	tags map[string]string
	next *session
	any  any
}

type node struct {
	l, r *node
	s    string
}

// table is larger than 128 KB: the mask of its type is made when it is needed.
type table struct {
	n    int
	rows [20000]struct {
		p *int
		n int
	}
}

// row is larger than 512 bytes: such an object begins with its type.
type row struct {
	cells [70]*int
	rest  [10]int
}

var (
	sessions = map[int]*session{}
	tree     *node
	chunks   [][]byte
	tables   []*table
	rows     []*row
	lists    [][]*int
	boxes    []any
	chain    *session
	literal  = &struct{ p **session }{new(*session)}
	cellar   = &struct {
		name  string
		racks []rack
	}{"cellar", []rack{{name: "left"}, {name: "right"}}}
	closures []func() int
	queue    = make(chan *session, 100)
	numbers  [300]*int
	index    = map[int]*int{} // its directory of tables is larger than 512 bytes
	pool     = sync.Pool{New: func() any { return new(row) }}
	array    [3]struct {
		name string
		list []*session
	}
)

//go:noinline
func grow(depth int) *node {
	if depth == 0 {
		return nil
	}
	return &node{grow(depth - 1), grow(depth - 1), "node " + strconv.Itoa(depth)}
}

func fill(n int) {
	for i := 0; i < n; i++ {
		s := &session{user: "user" + strconv.Itoa(i), data: make([]byte, 200), tags: map[string]string{"k" + strconv.Itoa(i): "v"}}
		sessions[i] = s
		s.any = &node{s: s.user}
		chain = &session{next: chain, user: strconv.Itoa(i)}
		k := i
		closures = append(closures, func() int { return k + len(s.user) })
		boxes = append(boxes, i+1000, s, *s, [2]string{s.user, "x"})
	}
	for i := 0; i < n/100; i++ {
		chunks = append(chunks, make([]byte, 30<<10))
		r := &row{}
		for k := range r.cells {
			r.cells[k] = new(int)
		}
		rows = append(rows, r)
	}
	for i := 0; i < 3; i++ {
		t := &table{}
		for k := 0; k < len(t.rows); k += 50 {
			t.rows[k].p = new(int)
		}
		tables = append(tables, t)
		list := make([]*int, 300000)
		for k := 0; k < len(list); k += 100 {
			list[k] = new(int)
		}
		lists = append(lists, list)
		array[i].name, array[i].list = strconv.Itoa(i)+"th", []*session{chain, {user: "in array"}}
		queue <- &session{user: "queued"}
	}
	for i := range numbers {
		numbers[i] = new(int)
	}
	for i := 0; i < 100000; i++ {
		index[i] = lists[i%3][i%3000*100]
	}
	*literal.p = &session{user: "literal"}
	cellar.racks[1].bottle, cellar.racks[1].any = &session{user: "right"}, &node{s: "right"}
	tree = grow(14)
}

// A rack is an element of a literal within a literal.
type rack struct {
	name   string
	bottle *session
	any    any
}

// held is alive on the stack of a goroutine only.
type held struct {
	data [40]*int
}

func worker(n int, ready *sync.WaitGroup, stop chan struct{}) {
	h := &held{}
	var local struct{ list [4]*held }
	for i := range h.data {
		h.data[i] = new(int)
	}
	local.list[n%4] = &held{}
	at := &local.list[n%4]
	defer func() { runtime.KeepAlive(h) }()
	ready.Done()
	<-stop
	runtime.KeepAlive(*at)
}

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	fill(n)
	var ready sync.WaitGroup
	stop := make(chan struct{})
	for i := 0; i < 50; i++ {
		ready.Add(1)
		go worker(i, &ready, stop)
	}
	ready.Wait()
	time.AfterFunc(time.Hour, func() { runtime.KeepAlive(sessions) })
	runtime.SetFinalizer(&session{next: chain, user: "finalizer"}, func(s *session) {})
	kept := &session{user: "kept by a finalizer"}
	runtime.SetFinalizer(tree, func(*node) { runtime.KeepAlive(kept) })
	special()
	line := make([]byte, 0, 100)
	var m runtime.MemStats
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	pool.Put(new(row))
	var b [1]byte
	for {
		if _, err := os.Stdin.Read(b[:]); err == io.EOF {
			return
		}
		runtime.ReadMemStats(&m)
		line = strconv.AppendUint(line[:0], m.HeapObjects, 10)
		line = append(line, ' ')
		line = strconv.AppendUint(line, m.HeapAlloc, 10)
		os.Stdout.Write(append(line, '\n'))
	}
}
