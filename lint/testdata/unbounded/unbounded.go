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

// want +2 `depth=8 follows map\[string\]\*unbounded.node, which has no limit: add budget=`
//
//meminspect:entry depth=8
var sessions map[string]*node

// want +2 `depth=64 follows the chain of \*unbounded.node`
//
//meminspect:entry depth=64
var list *node

// want +2 `depth=5 follows \[\]int`
//
//meminspect:entry depth=5 "note=the queue, all of it"
var queue struct {
	head  int
	items []int
}

//meminspect:entry depth=8 budget=64KiB
var bounded map[string]*node

//meminspect:entry depth=4
var usual map[string]*node

//meminspect:entry
var silent map[string]*node

//meminspect:entry depth=8
var fixed *config

//meminspect:entry depth=8
var one *config

//nolint:meminspect
//meminspect:entry depth=8
var suppressed map[string]*node

func register() {
	id, err := meminspect.Register(meminspect.IDDynamic, &sessions, meminspect.Depth(6)) // want `Depth\(6\) follows map`
	id, err = meminspect.Register(meminspect.IDDynamic, &sessions, meminspect.Depth(6), meminspect.Budget(1<<16))
	id, err = meminspect.Register(meminspect.IDDynamic, &fixed, meminspect.Depth(6))
	id, err = meminspect.Register(meminspect.IDDynamic, &sessions, meminspect.Depth(4))
	_, _ = id, err
	_, _, _, _, _, _, _, _ = list, queue, bounded, usual, silent, fixed, one, suppressed
}
