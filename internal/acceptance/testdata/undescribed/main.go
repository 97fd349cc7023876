// Command undescribed has variables whose types nothing in it needs while it
// runs, so that the linker leaves their descriptors out.
package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

type conn struct {
	name  string
	peer  *conn
	hooks []hook
	state *state
}

type hook struct {
	after time.Duration
	what  string
	next  *hook
}

type state struct {
	sync.Mutex
	open   bool
	ratio  float64
	phase  complex64
	limits [3]struct {
		low, high *int32
		label     string
	}
	last atomic.Pointer[hook]
	none map[string]hook
	wait chan hook
	err  error
	own  interface{ Close() error }
	any  any
}

type list[T any] struct {
	head *node[T]
	size int
}

type node[T any] struct {
	value T
	next  *node[T]
}

var (
	pool    []conn
	current state
	table   = [2]hook{{1, "one", &hook{2, "two", nil}}, {3, "three", nil}}
	single  *hook
	names   list[string]
	local   struct {
		on    bool
		first *node[string]
	}
	grid   [2][3]*hook
	nested struct {
		rows []struct{ cell *struct{ n int16 } }
		deep **hook
	}
	within outer
)

type outer struct {
	hook
	*state
	kids []outer
	up   [1]*outer
}

func (l *list[T]) push(v T) {
	l.head = &node[T]{v, l.head}
	l.size++
}

func main() {
	low, high := int32(3), int32(4)
	current.open, current.ratio, current.phase = true, 0.5, 1+2i
	current.limits[1].low, current.limits[1].high, current.limits[1].label = &low, &high, "middle"
	current.last.Store(&table[1])
	current.err = fmt.Errorf("went %s", "wrong")
	current.any = &low
	pool = append(make([]conn, 0, 4), conn{"a", nil, []hook{{5, "five", nil}}, &current}, conn{"b", nil, nil, nil})
	pool[1].peer = &pool[0]
	single = &hook{6, "six", &table[0]}
	names.push("x")
	names.push("y")
	grid[1][2] = &hook{7, "seven", nil}
	nested.rows = append(nested.rows, struct{ cell *struct{ n int16 } }{&struct{ n int16 }{8}})
	nested.deep = &single
	within = outer{hook{9, "nine", single}, &current, make([]outer, 2), [1]*outer{&within}}
	within.kids[1].up[0] = &within
	local.on, local.first = len(os.Args) > 0, names.head
	fmt.Println("ready")
	time.Sleep(time.Hour)
	fmt.Println(len(pool), current.open, table[0].after, single.what, names.size, local.on, grid[0][0], nested.rows[0].cell.n, **nested.deep, within.what, within.open, within.up)
}
