package capture

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/meminspect/meminspect/internal/core/process"
)

// errOtherDump is about the head of a core that is not of the process that is
// captured.
var errOtherDump = errors.New("the core on standard input is of another process than the one that was named: its registers are not used")

// dumped takes the threads' registers and the signal from the head of the core
// that the kernel dumps of the process, and says whether it could: whether the
// kernel holds the process.
func (t *taking) dumped() bool {
	head := t.opts.Request.Hold.Dump
	if head == nil {
		return false
	}
	ids, err := t.process.ThreadIDs()
	if err != nil {
		return false // it is gone, as all that follows will find
	}
	if !sameAuxv(head.Auxv, t.auxv) {
		t.summary.problem("threads", errOtherDump)
		return false
	}
	ours, left := t.process.Ours(ids), slices.Clone(ids)
	for _, th := range head.Threads {
		if ours != nil {
			th.ID = ours[th.ID]
		}
		at, ok := slices.BinarySearch(left, th.ID)
		if !ok {
			continue
		}
		left = slices.Delete(left, at, at+1)
		th.General = bytes.Clone(th.General) // it may be overwritten
		t.threads = append(t.threads, th)
	}
	t.summary.Threads.Captured = len(t.threads)
	if len(t.threads) == 0 {
		t.summary.problem("threads", errOtherDump)
		return false
	}
	for _, id := range left {
		if stat, err := t.process.ThreadStat(id); err != nil || stat.Dead() {
			continue // a main thread may end before the others
		}
		t.summary.problem("threads", fmt.Errorf("thread %d is not in the kernel's core", id))
		th := process.Thread{ID: id}
		th.Place(0, 0, 0)
		t.threads = append(t.threads, th)
	}
	t.summary.Threads.All = len(t.threads)
	if head.SigInfo != nil {
		info := *head.SigInfo
		t.sigInfo = &info
	}
	return true
}

// sameAuxv compares what the kernel told the program at its start, up to the
// entry that ends it. It holds addresses that are random in each process.
func sameAuxv(a, b []byte) bool {
	const entry = 16
	for len(a) >= entry && len(b) >= entry {
		if !bytes.Equal(a[:entry], b[:entry]) {
			return false
		}
		if leWord(a) == 0 { // AT_NULL
			return true
		}
		a, b = a[entry:], b[entry:]
	}
	return false
}
