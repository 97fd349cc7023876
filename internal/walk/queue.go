package walk

import "github.com/meminspect/meminspect/internal/core/memory"

// An item is work for the next round: count values of plan at addr.
type item struct {
	addr  memory.Address
	plan  *typePlan
	count uint64
	root  int32
	rank  uint16
	kind  itemKind
}

type itemKind uint8

const (
	itemValues    itemKind = iota
	itemMap                // a map header; plan is the map's
	itemDirectory          // count pointers to swiss tables
	itemTable
	itemGroups  // count groups of a swiss table
	itemBuckets // count buckets
	itemChan    // a channel; plan is the channel's
	itemClosure
	itemWeak  // a weak handle; plan is the plan of its target
	itemTrie  // a node of a hash trie map
	itemGuess // bytes of unknown type
)

// A queued is a waiting item. It contains no pointer: a round of a large graph
// has millions, which Go's collector would have to scan.
type queued struct {
	addr  memory.Address
	count uint64
	plan  uint32
	root  int32
	rank  uint16
	kind  itemKind
}

// A queue stores the items of a round in blocks, so that growing copies
// nothing.
type queue struct {
	blocks [][]queued
	free   [][]queued
	count  int
}

const queueBlock = 8192 // items

func (q *queue) push(it *item) {
	last := len(q.blocks) - 1
	if last < 0 || len(q.blocks[last]) == queueBlock {
		if n := len(q.free); n > 0 {
			q.blocks = append(q.blocks, q.free[n-1][:0])
			q.free = q.free[:n-1]
		} else {
			q.blocks = append(q.blocks, make([]queued, 0, queueBlock))
		}
		last++
	}
	q.blocks[last] = append(q.blocks[last], queued{it.addr, it.count, it.plan.id, it.root, it.rank, it.kind})
	q.count++
}

// take empties the queue; release returns the blocks.
func (q *queue) take() [][]queued {
	blocks := q.blocks
	q.blocks, q.count = nil, 0
	return blocks
}

func (q *queue) release(block []queued) { q.free = append(q.free, block) }
