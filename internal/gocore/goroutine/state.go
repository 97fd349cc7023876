package goroutine

import "github.com/meminspect/meminspect/internal/gocore/module"

// A waitReason is the name of one of the runtime's wait reasons, in the releases
// since and until.
type waitReason struct {
	since, until int
	name         string
}

// oldWaitReasons are those of Go 1.21 to 1.25, in the order of waitReason in
// runtime/runtime2.go. The index of a reason is its place among those of a
// release.
var oldWaitReasons = []waitReason{
	{21, 25, ""},
	{21, 25, "GC assist marking"},
	{21, 25, "IO wait"},
	{21, 25, "chan receive (nil chan)"},
	{21, 25, "chan send (nil chan)"},
	{21, 25, "dumping heap"},
	{21, 25, "garbage collection"},
	{21, 25, "garbage collection scan"},
	{21, 25, "panicwait"},
	{21, 25, "select"},
	{21, 25, "select (no cases)"},
	{21, 25, "GC assist wait"},
	{21, 25, "GC sweep wait"},
	{21, 25, "GC scavenge wait"},
	{21, 25, "chan receive"},
	{21, 25, "chan send"},
	{21, 25, "finalizer wait"},
	{21, 25, "force gc (idle)"},
	{25, 25, "GOMAXPROCS updater (idle)"},
	{21, 25, "semacquire"},
	{21, 25, "sleep"},
	{21, 25, "sync.Cond.Wait"},
	{21, 25, "sync.Mutex.Lock"},
	{21, 25, "sync.RWMutex.RLock"},
	{21, 25, "sync.RWMutex.Lock"},
	{24, 25, "sync.WaitGroup.Wait"},
	{21, 25, "trace reader (blocked)"},
	{21, 25, "wait for GC cycle"},
	{21, 25, "GC worker (idle)"},
	{21, 25, "GC worker (active)"},
	{21, 25, "preempted"},
	{21, 25, "debug call"},
	{21, 25, "GC mark termination"},
	{21, 25, "stopping the world"},
	{22, 25, "flushing proc caches"},
	{22, 25, "trace goroutine status"},
	{22, 25, "trace proc status"},
	{22, 25, "page trace flush"},
	{22, 25, "coroutine"},
	{23, 25, "GC weak to strong wait"},
	{24, 25, "synctest.Run"},
	{24, 25, "synctest.Wait"},
	{24, 24, "chan receive (synctest)"},
	{24, 24, "chan send (synctest)"},
	{24, 24, "select (synctest)"},
	{25, 25, "chan receive (durable)"},
	{25, 25, "chan send (durable)"},
	{25, 25, "select (durable)"},
	{25, 25, "sync.WaitGroup.Wait (durable)"},
	{25, 25, "cleanup wait"},
}

// waitReasons are those from Go 1.26 on, by their indexes.
var waitReasons = []string{
	"",
	"GC assist marking",
	"IO wait",
	"dumping heap",
	"garbage collection",
	"garbage collection scan",
	"panicwait",
	"GC assist wait",
	"GC sweep wait",
	"GC scavenge wait",
	"finalizer wait",
	"force gc (idle)",
	"GOMAXPROCS updater (idle)",
	"semacquire",
	"sleep",
	"chan receive (nil chan)",
	"chan send (nil chan)",
	"select (no cases)",
	"select",
	"chan receive",
	"chan send",
	"sync.Cond.Wait",
	"sync.Mutex.Lock",
	"sync.RWMutex.RLock",
	"sync.RWMutex.Lock",
	"sync.WaitGroup.Wait",
	"trace reader (blocked)",
	"wait for GC cycle",
	"GC worker (idle)",
	"GC worker (active)",
	"preempted",
	"debug call",
	"GC mark termination",
	"stopping the world",
	"flushing proc caches",
	"trace goroutine status",
	"trace proc status",
	"page trace flush",
	"coroutine",
	"GC weak to strong wait",
	"synctest.Run",
	"synctest.Wait",
	"chan receive (durable)",
	"chan send (durable)",
	"select (durable)",
	"sync.WaitGroup.Wait (durable)",
	"cleanup wait",
}

// State returns what the runtime's own tracebacks call the goroutine's state: what
// it waits for, or else its status.
func (g *G) State(v module.Version) string {
	switch g.Status {
	case Waiting:
		return g.reason(v)
	case Leaked:
		return g.reason(v) + " (leaked)"
	case DeadExtra:
		return "waiting for cgo callback"
	}
	return g.Status.String()
}

// reason returns what a goroutine that waits waits for, its status if that is not
// known.
func (g *G) reason(v module.Version) string {
	if name := waitReasonName(v, int(g.WaitReason)); name != "" {
		return name
	}
	return g.Status.String()
}

func waitReasonName(v module.Version, index int) string {
	if v.Minor >= 26 {
		if index < len(waitReasons) {
			return waitReasons[index]
		}
		return ""
	}
	for _, r := range oldWaitReasons {
		if v.Minor < r.since || v.Minor > r.until {
			continue
		}
		if index == 0 {
			return r.name
		}
		index--
	}
	return ""
}
