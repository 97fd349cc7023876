package unbounded

import "github.com/meminspect/meminspect/runtime"

type node struct {
	next *node
	n    int
}

type config struct {
	limits *[8]int
	name   string
}

// want +2 `depth=4 follows map\[string\]\*unbounded.node, which has no bound: add budget=`
//
//meminspect:entry depth=4
var sessions map[string]*node

// want +2 `depth=64 follows the chain of \*unbounded.node`
//
//meminspect:entry depth=64
var list *node

// want +2 `depth=1 follows \[\]int`
//
//meminspect:entry depth=1 "note=the queue, all of it"
var queue struct {
	head  int
	items []int
}

//meminspect:entry depth=4 budget=64KiB
var bounded map[string]*node

//meminspect:entry depth=0
var flat map[string]*node

//meminspect:entry
var silent map[string]*node

//meminspect:entry depth=2
var fixed *config

//meminspect:entry depth=1
var one *node

//nolint:meminspect
//meminspect:entry depth=4
var suppressed map[string]*node

func register() {
	id, err := meminspect.Register(meminspect.IDDynamic, &sessions, meminspect.Depth(3)) // want `Depth\(3\) follows map`
	id, err = meminspect.Register(meminspect.IDDynamic, &sessions, meminspect.Depth(3), meminspect.Budget(1<<16))
	id, err = meminspect.Register(meminspect.IDDynamic, &fixed, meminspect.Depth(3))
	id, err = meminspect.Register(meminspect.IDDynamic, &sessions)
	_, _ = id, err
	_, _, _, _, _, _, _, _ = list, queue, bounded, flat, silent, fixed, one, suppressed
}
