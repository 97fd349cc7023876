package heap

import (
	"fmt"

	"github.com/meminspect/meminspect/internal/gocore/module"
)

// A Layout gives the offsets in the runtime's structures that differ between
// releases; they are the same on amd64 and arm64. A test in internal/gocore/facts
// compares them with the source of each release.
type Layout struct {
	minor int

	span     int // size of runtime.mspan
	nelems   int
	wide     bool // freeindex and nelems are 64 bits wide, else 16
	alloc    int  // allocBits; gcmarkBits follows
	sweepgen int  // divMul follows
	count    int  // allocCount
	class    int  // spanclass; state follows
	elemSize int
	specials int
	large    int // largeType, -1 = the release keeps masks in the arenas
	arena    int // isUserArenaChunk

	specialKind int // in runtime.special
	specialData int // what follows the special's own fields
	kinds       specialKinds
	cleanupID   bool // specialCleanup and cleanupBlock hold {call, fn, arg}

	deferHeap, deferFn, deferLink int // in runtime._defer
	timers                        int // the slice in runtime.p; 0 = it depends on experiments
}

// Offsets that all releases share.
const (
	heapSweepGen = 65856 // in runtime.mheap
	heapSpans    = 65864 // allspans, after sweepgen and its padding

	spanBase      = 24
	spanPages     = 32
	spanFreeIndex = 48
)

// specialKinds are the numbers of the specials that keep objects alive; 0 where
// the release has none.
type specialKinds struct{ finalizer, weak, cleanup uint8 }

const (
	pageShift = 13
	pageSize  = 1 << pageShift

	// headerFrom is the size above which an object of Go 1.22 and later begins
	// with its type; smaller ones have their mask at the span's end.
	headerFrom = 512

	// inlineMarks is what the Green Tea collector keeps at the end of a span of
	// one page: the last byte is the span's class.
	inlineMarks = 128

	spanInUse  = 1
	spanManual = 2
)

// LayoutOf returns the layout of a release. A release that is not known is an
// error: with a wrong layout the results would be wrong without a sign of it.
func LayoutOf(v module.Version) (Layout, error) {
	l := Layout{
		minor: v.Minor, span: 160, nelems: 50, alloc: 64, sweepgen: 88, count: 96, class: 98, elemSize: 104, specials: 128, large: 152, arena: 101,
		specialKind: 16, specialData: 24, kinds: specialKinds{finalizer: 2, weak: 3, cleanup: 7},
		deferHeap: 0, deferFn: 24, deferLink: 32,
	}
	switch v.Minor {
	case 21:
		l = Layout{
			minor: v.Minor, span: 168, nelems: 56, wide: true, alloc: 72, sweepgen: 96, count: 104, class: 106, elemSize: 112, specials: 136, large: -1, arena: 109,
			deferHeap: 1, deferFn: 24, deferLink: 40, timers: 8840,
		}
		l.oldSpecials(specialKinds{finalizer: 1})
	case 22:
		l.oldSpecials(specialKinds{finalizer: 1})
		l.timers = 8872
	case 23:
		l.oldSpecials(specialKinds{finalizer: 1, weak: 2})
	case 24:
		l.kinds = specialKinds{finalizer: 1, weak: 2, cleanup: 6}
	case 25:
	case 26, 27:
		l.cleanupID = true
	default:
		return Layout{}, fmt.Errorf("heap of a program built with %s: its layout is not known (Go 1.%d to 1.%d are): update meminspect",
			v.Text, module.OldestMinor, module.NewestMinor)
	}
	return l, nil
}

// oldSpecials sets the layout of specials until Go 1.23.
func (l *Layout) oldSpecials(kinds specialKinds) {
	l.specialKind, l.specialData, l.kinds = 10, 16, kinds
}
