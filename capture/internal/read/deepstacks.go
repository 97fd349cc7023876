package read

import (
	"cmp"
	"slices"

	"github.com/meminspect/meminspect/capture/internal/model"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Sizes of the ends of each stack that are captured before any stack gets more:
// of the innermost and of the outermost frames.
const (
	innermost = 4 << 10
	outermost = 2 << 10
)

// A deepStack is a goroutine's stack while it is queued: first its ends, then
// the middle.
type deepStack struct {
	model.Stack
	inner, outer memory.Range // queued: both ends of Used
	alive        bool         // the goroutine has not ended
	lacks        bool         // the budget was not enough
}

// queueEnds queues the innermost and outermost frames.
func (s *deepStack) queueEnds(q *queue) {
	s.inner = s.Used
	if s.Used.Size() > innermost+outermost {
		s.inner.End = s.Used.Start.Add(innermost)
		s.outer = memory.Range{Start: s.Used.End - outermost, End: s.Used.End}
	}
	for _, end := range []*memory.Range{&s.inner, &s.outer} {
		n := q.addTrusted(*end) // build decides which words stay
		s.lacks = s.lacks || n < end.Size()
		end.End = end.Start.Add(n)
	}
}

// middle returns the part between the ends that is not queued.
func (s *deepStack) middle() memory.Range {
	if s.lacks || s.outer.Empty() {
		return memory.Range{}
	}
	return memory.Range{Start: s.inner.End, End: s.outer.Start}
}

// appendTo appends the stack as it is in the image: whole, or its ends.
func (s *deepStack) appendTo(parts []model.Stack) []model.Stack {
	ends := [2]memory.Range{s.inner, s.outer}
	if s.inner.End == s.outer.Start {
		ends = [2]memory.Range{{Start: s.inner.Start, End: s.outer.End}}
	}
	for _, used := range ends {
		if !used.Empty() {
			part := s.Stack
			part.Used = used
			parts = append(parts, part)
		}
	}
	return parts
}

// queueMiddles queues the middles of the goroutines' stacks. The budget is
// shared: no stack gets more than its share while another lacks some. Of a
// stack that is too deep, it queues more of the innermost frames.
func (r *reading) queueMiddles() {
	var deep []*deepStack // stacks with a middle
	for i := range r.queue.stacks {
		if s := &r.queue.stacks[i]; !s.middle().Empty() {
			deep = append(deep, s)
		}
	}
	slices.SortStableFunc(deep, func(a, b *deepStack) int { return cmp.Compare(a.middle().Size(), b.middle().Size()) })
	for i, s := range deep {
		middle := s.middle()
		share := min(middle.Size(), r.queue.left/uint64(len(deep)-i)) &^ (memory.PtrSize - 1)
		if share < middle.Size() {
			s.lacks = true
		}
		s.inner.End = s.inner.End.Add(r.queue.addTrusted(memory.RangeOf(middle.Start, share)))
	}
	r.countGoroutines()
}

// countGoroutines counts the goroutines that are complete in the image, and
// lists their stacks.
func (r *reading) countGoroutines() {
	out, missing := &r.snapshot.Goroutines, 0
	out.Stacks = slices.Grow(out.Stacks, len(r.queue.stacks))
	for i := range r.queue.stacks {
		s := &r.queue.stacks[i]
		out.Stacks = s.appendTo(out.Stacks)
		if s.lacks {
			missing++
			if s.cut() && r.held.Still {
				out.Cut = append(out.Cut, note.CutStack{})
			}
			continue
		}
		out.Note.Captured++
		if s.alive {
			out.Captured++
		}
	}
	if missing > 0 {
		r.snapshot.Problems.Missing("goroutines", budgetError{missing, "goroutines"})
	}
}
