// Command churn constantly changes its variables, at random from a seed: a
// reader sees different values a moment later.
package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"weak"
)

// A Var is a row of the table, as in the program of every kind.
type Var struct {
	Name string
	Var  any
}

// Table lists all variables.
var Table = struct {
	Magic [2]uint64
	Rows  []Var
}{Magic: [2]uint64{0x6b696e6473766172, 0x1d0c8a5f72e3b946}}

type key struct {
	a int32
	b string
}

type node struct {
	next, other *node
	name        string
	any         any
	list        []*node
	values      [3]string
	number      uint64
}

type wide struct {
	head *node
	pad  [100]uint64
	tail *node
}

var (
	tree     *node
	list     []*node
	structs  []wide
	byName   = map[string]*node{}
	byKey    = map[key][]string{}
	small    = map[uint8]node{}
	anything []any
	queue    = make(chan *node, 16)
	blocked  = make(chan node)
	shared   sync.Map
	current  atomic.Pointer[node]
	held     weak.Pointer[node]
	function func() *node
	text     string
	bytes    []byte
	big      = make([]uint64, 1<<17)
	quiet    []*node // it does not change
)

func init() {
	Table.Rows = []Var{
		{"tree", &tree}, {"list", &list}, {"structs", &structs}, {"byName", &byName}, {"byKey", &byKey}, {"small", &small},
		{"anything", &anything}, {"queue", &queue}, {"blocked", &blocked}, {"shared", &shared}, {"current", &current},
		{"held", &held}, {"function", &function}, {"text", &text}, {"bytes", &bytes}, {"big", &big}, {"quiet", &quiet},
	}
}

var random *rand.Rand

func newNode(depth int) *node {
	n := &node{name: fmt.Sprint("node ", random.IntN(1000)), number: random.Uint64()}
	if depth > 0 {
		n.next = newNode(depth - 1)
		n.any = []any{nil, depth, n.name, n.next, *n.next, []int{1, 2, depth}, func() int { return depth }}[random.IntN(7)]
	}
	if random.IntN(3) == 0 && len(list) > 0 {
		n.other = list[random.IntN(len(list))]
		n.list = list[random.IntN(len(list)):]
	}
	n.values[random.IntN(3)] = strings.Repeat("v", random.IntN(300))
	return n
}

func change() {
	n := newNode(random.IntN(4))
	switch random.IntN(20) {
	case 0:
		tree = newNode(random.IntN(10))
	case 1:
		list = append(list[random.IntN(1+len(list)/8):], n)
	case 2, 3:
		if len(list) > 0 {
			list[random.IntN(len(list))] = n
		}
	case 4:
		structs = append(structs[random.IntN(1+len(structs)/4):], wide{head: n, tail: tree})
	case 5, 6:
		byName[fmt.Sprint("name ", random.IntN(500))] = n
	case 7:
		delete(byName, fmt.Sprint("name ", random.IntN(500)))
	case 8:
		byKey[key{int32(random.IntN(100)), n.name}] = n.values[:]
		if len(byKey) > 1000 {
			clear(byKey)
		}
	case 9:
		small[uint8(random.IntN(256))] = *n
	case 10:
		anything = append(anything[random.IntN(1+len(anything)/8):], n.any)
	case 11:
		select {
		case queue <- n:
		default:
			<-queue
		}
	case 12:
		select {
		case <-blocked:
		default:
			go func() { blocked <- *n }()
		}
	case 13:
		shared.Store(random.IntN(100), n)
	case 14:
		shared.Delete(random.IntN(100))
	case 15:
		current.Store(n)
	case 16:
		held = weak.Make(n)
	case 17:
		function = func() *node { return n }
	case 18:
		text, bytes = strings.Repeat(n.name, random.IntN(2000)), make([]byte, random.IntN(40_000))
	case 19:
		big[random.IntN(len(big))]++
	}
	if tree != nil && random.IntN(2) == 0 {
		tree.other = n
	}
}

func main() {
	seed, err := strconv.ParseUint(os.Args[1], 10, 64)
	if err != nil {
		panic(err)
	}
	random = rand.New(rand.NewPCG(seed, 1))
	for range 40_000 {
		quiet = append(quiet, newNode(1))
	}
	for range 3000 {
		change()
	}
	fmt.Println("ready")
	pause := 1 << (10 + random.IntN(18)) // how much changes between two readings differs by the seed
	for i := 0; ; i++ {
		change()
		for range pause {
			runtime.KeepAlive(i)
		}
	}
}
