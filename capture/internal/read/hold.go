package read

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/internal/request"
)

// A Hold keeps a program unchanged while it is read, as far as possible, and
// returns the program's threads.
type Hold func(context.Context) (*Held, error)

// Held is a held program.
type Held struct {
	Threads  model.Threads
	Problems model.Problems

	Still bool // no thread changes memory
	Final bool // the program will not continue after its release

	// Numbers maps the program's own thread IDs to ours, nil if they are the same.
	Numbers map[int]int

	inCall  func(*process.Thread, process.SystemCall) bool // reports whether a thread is still in a call; nil if the threads do not run
	release func() (stopped time.Duration)
	check   func(context.Context) error // checks that the program that was read is the located one
}

// Release releases the program and returns how long it was stopped.
func (h *Held) Release() time.Duration {
	if h.release == nil {
		return 0
	}
	return h.release()
}

// Dead returns the hold of a program that has ended and left these threads.
func Dead(threads model.Threads) Hold {
	return func(context.Context) (*Held, error) {
		return &Held{Threads: threads, Still: true, Final: true}, nil
	}
}

// Running returns the hold of a process that keeps running. Threads that sleep
// in the kernel have their positions.
func Running(p *process.Process) Hold {
	return func(context.Context) (*Held, error) {
		h := &Held{}
		h.running(p)
		return h, nil
	}
}

func (h *Held) running(p *process.Process) {
	ids, err := p.ThreadIDs()
	if err != nil {
		h.Problems.Missing("threads", err)
		return
	}
	h.Threads.All = len(ids)
	h.inCall = func(th *process.Thread, call process.SystemCall) bool {
		at, ok := p.Blocked(th.ID)
		return ok && at.Call == call
	}
	for _, id := range ids {
		th := process.Thread{ID: id}
		if at, ok := p.Blocked(id); ok {
			th.Block(at)
			h.Threads.Known++
		} else {
			th.Place(0, 0, 0)
		}
		h.Threads.List = append(h.Threads.List, th)
	}
	h.Numbers = p.Ours(ids)
}

// StopOptions select who stops a process.
type StopOptions struct {
	// Main and MainHeld are as in process.StopOptions.
	Main     *process.Tracer
	MainHeld bool

	// Must makes it an error if the process cannot be stopped. Otherwise it is
	// then read while it runs.
	Must bool
}

// Stopped returns the hold of a process whose threads are all stopped.
func Stopped(p *process.Process, opts StopOptions) Hold {
	return func(ctx context.Context) (*Held, error) {
		h := &Held{Final: opts.MainHeld}
		s, err := process.Stop(ctx, p, process.StopOptions{Main: opts.Main, MainHeld: opts.MainHeld, FloatingPoint: true, Extended: true})
		if err != nil {
			if opts.Must || ctx.Err() != nil || errors.Is(err, process.ErrReplaced) {
				return nil, err
			}
			h.Problems.Missing("stop", err)
			h.traced(p)
			h.running(p)
			return h, nil
		}
		h.release = func() time.Duration {
			s.Resume()
			return time.Since(s.Since)
		}
		for _, m := range s.Missed {
			h.Problems.Missing("threads", fmt.Errorf("%v", m))
		}
		if len(s.Missed) > 0 {
			h.traced(p)
		}
		h.Still = len(s.Missed) == 0
		h.Threads = model.Threads{List: s.Threads, All: len(s.Threads) + len(s.Missed), Known: len(s.Threads)}
		h.Numbers = p.Ours(threadIDs(s.Threads))
		return h, nil
	}
}

// traced records the tracer that prevents stopping threads: a process has one
// tracer.
func (h *Held) traced(p *process.Process) {
	if pid, name := p.TracedBy(); pid != 0 && pid != os.Getpid() {
		h.Problems.Mention("tracer", fmt.Sprintf("process %d (%s) traces the program", pid, name), process.TracerAdvice(name, p.PID))
	}
}

func threadIDs(threads []process.Thread) []int {
	ids := make([]int, len(threads))
	for i := range threads {
		ids[i] = threads[i].ID
	}
	return ids
}

// errOtherDump reports the head of a core that is not of the captured process.
var errOtherDump = errors.New("the core on standard input is of another process than the one that was named: its registers are not used")

// Dumped returns the hold of a process for which the kernel writes a core that
// begins with head: the kernel stops all threads until that has been read. auxv
// is the process' own auxiliary vector. If the head is of another process, the
// hold is otherwise.
func Dumped(p *process.Process, head *fullcore.Head, auxv []byte, otherwise Hold) Hold {
	return func(ctx context.Context) (*Held, error) {
		h := &Held{Still: true, Final: true}
		ids, err := p.ThreadIDs()
		if err != nil {
			return otherwise(ctx) // it has ended, as the following calls will find
		}
		if sameAuxv(head.Auxv, auxv) {
			h.dumped(p, head, ids)
		}
		if len(h.Threads.List) > 0 {
			return h, nil
		}
		if h, err = otherwise(ctx); err == nil {
			h.Problems = append(model.Problems{{What: "threads", Why: errOtherDump.Error(), Missing: true}}, h.Problems...)
		}
		return h, err
	}
}

// dumped reads the threads' registers and the signal from the head. ids are the
// process' threads.
func (h *Held) dumped(p *process.Process, head *fullcore.Head, ids []int) {
	ours, left := p.Ours(ids), slices.Sorted(slices.Values(ids))
	for _, th := range head.Threads {
		if ours != nil {
			th.ID = ours[th.ID]
		}
		at, ok := slices.BinarySearch(left, th.ID)
		if !ok {
			continue
		}
		left = slices.Delete(left, at, at+1)
		th.General = bytes.Clone(th.General) // redaction may overwrite it
		h.Threads.List = append(h.Threads.List, th)
	}
	h.Threads.Known = len(h.Threads.List)
	if h.Threads.Known == 0 {
		return
	}
	for _, id := range left {
		if stat, err := p.ThreadStat(id); err != nil || stat.Dead() {
			continue // a main thread may end before the others
		}
		h.Problems.Missing("threads", fmt.Errorf("thread %d is not in the kernel's core", id))
		th := process.Thread{ID: id}
		th.Place(0, 0, 0)
		h.Threads.List = append(h.Threads.List, th)
	}
	h.Threads.All = len(h.Threads.List)
	h.Numbers = p.Ours(threadIDs(h.Threads.List))
	if head.SigInfo != nil {
		info := *head.SigInfo
		h.Threads.SigInfo = &info
	}
}

// sameAuxv compares two auxiliary vectors up to the terminating entry. They
// contain addresses that are random for each process.
func sameAuxv(a, b []byte) bool {
	const entry = 16
	for len(a) >= entry && len(b) >= entry {
		if !bytes.Equal(a[:entry], b[:entry]) {
			return false
		}
		if binary.LittleEndian.Uint64(a) == 0 { // AT_NULL
			return true
		}
		a, b = a[entry:], b[entry:]
	}
	return false
}

// SameProgram returns a hold that fails if the process calls exec: the memory
// read may then belong to another program than running, which was located. It also
// fails if the kernel takes memory back after an OOM kill. A
// nil running is unknown and not checked.
func SameProgram(hold Hold, running *process.Image) Hold {
	if running == nil {
		return hold
	}
	return func(ctx context.Context) (*Held, error) {
		pages, known := running.DataPages()
		h, err := hold(ctx)
		if err != nil {
			return nil, err
		}
		h.check = func(ctx context.Context) error {
			if err := running.Check(); errors.Is(err, process.ErrReplaced) {
				return err
			}
			if known {
				if err := running.CheckKept(pages); err != nil {
					return err
				}
			}
			if err := ctx.Err(); err != nil {
				h.Problems.Missing("stop", fmt.Errorf("the program ran on while it was read: %w", err))
			}
			return nil
		}
		return h, nil
	}
}

var errMovingHeap = errors.New("the program was not stopped, and a heap that changes while it is read gives wrong results; capture with --stop")

// WithHeap returns a hold that also reads the heap, after everything else and while no
// thread runs. A heap that cannot be read makes the core partial, it is not an error.
func WithHeap(hold Hold, heap request.HeapReading) Hold {
	return func(ctx context.Context) (*Held, error) {
		h, err := hold(ctx)
		if err != nil {
			return nil, err
		}
		before := h.check
		h.check = func(ctx context.Context) error {
			if !h.Still {
				h.Problems.Missing("heap", errMovingHeap)
			} else if err := heap.Read(ctx, h.Threads.List); err != nil {
				h.Problems.Missing("heap", err)
			}
			if before == nil {
				return nil
			}
			return before(ctx)
		}
		return h, nil
	}
}

// FirstThread returns a hold whose threads begin with the given one: debuggers
// show the first thread of a core.
func FirstThread(hold Hold, id int) Hold {
	return func(ctx context.Context) (*Held, error) {
		h, err := hold(ctx)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(h.Threads.List, func(th process.Thread) bool { return th.ID == id })
		if i > 0 {
			list := slices.Clone(h.Threads.List)
			h.Threads.List = slices.Insert(slices.Delete(list, i, i+1), 0, h.Threads.List[i])
		}
		return h, nil
	}
}

// Listed returns the hold of a process that keeps running and may not be read:
// only the IDs of its threads are known.
func Listed(p *process.Process) Hold {
	return func(context.Context) (*Held, error) {
		ids, err := p.ThreadIDs()
		if err != nil {
			return nil, err
		}
		h := &Held{Threads: model.Threads{All: len(ids)}}
		for _, id := range ids {
			th := process.Thread{ID: id}
			th.Place(0, 0, 0)
			h.Threads.List = append(h.Threads.List, th)
		}
		return h, nil
	}
}
