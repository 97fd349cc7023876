package stacks

import "fmt"

// A Folded is a call of a stack whose recursion is folded: what is repeated is there once.
type Folded[T any] struct {
	Call    T
	Round   int      // calls that are repeated, of which this is the last; 0 if none are
	More    int      // times that they follow once more
	Omitted Omission // after all of them
}

// After is what follows a call in the stack and is not shown.
func (f *Folded[T]) After() (texts []string) {
	times := "once more"
	if f.More > 1 {
		times = fmt.Sprintf("%d more times", f.More)
	}
	switch {
	case f.Round == 1:
		texts = append(texts, "the call above "+times)
	case f.Round > 1:
		texts = append(texts, fmt.Sprintf("the %d calls above %s", f.Round, times))
	}
	if f.Omitted != (Omission{}) {
		texts = append(texts, f.Omitted.String())
	}
	return texts
}

// Fold folds the recursion of a stack. frame returns the frame of a call. Calls are
// repeated if they have the same function, file and line, and same reports that a later
// call has nothing that an earlier one has not: only the earliest is shown.
func Fold[T any](calls []T, frame func(*T) *Frame, same func(later, earlier *T) bool) []Folded[T] {
	s := stack[T]{calls: calls, lines: make([]int, len(calls)), frame: frame, same: same}
	for i := range calls {
		s.lines[i] = frame(&calls[i]).Line
	}
	folded := make([]Folded[T], 0, min(len(calls), 64))
	for at := 0; at < len(calls); {
		round, times := s.repeated(at)
		for i := range round {
			folded = append(folded, Folded[T]{Call: calls[at+i]})
		}
		last := &folded[len(folded)-1]
		if times > 1 {
			last.Round, last.More = round, times-1
		}
		at += round * times
		last.Omitted = frame(&calls[at-1]).Omitted
	}
	return folded
}

// FoldFrames folds the recursion of a stack.
func FoldFrames(frames []Frame) []Folded[Frame] {
	return Fold(frames, func(f *Frame) *Frame { return f }, func(*Frame, *Frame) bool { return true })
}

// maxRound is the most calls of one round: as many functions as recursion goes through,
// for example, in a parser.
const maxRound = 24

// A stack is calls that Fold compares.
type stack[T any] struct {
	calls []T
	lines []int // of the calls: most calls differ in them, and this is the fastest to compare
	frame func(*T) *Frame
	same  func(later, earlier *T) bool
}

// repeated returns the number of calls from one on that are repeated, and how often they
// are there. Calls that are there only twice are not worth a line of their own.
func (s *stack[T]) repeated(at int) (round, times int) {
	const worth = 3
	for round = 1; round <= maxRound && worth*round <= len(s.calls)-at; round++ {
		n := round // calls that are the beginning of rounds
		for at+n < len(s.calls) && s.equal(at+n, at+n-round) && !s.omits(at+n-1) {
			n++
		}
		if n/round >= worth && s.whole(at, at+round-1) {
			return round, n / round
		}
	}
	return 1, 1
}

// whole reports whether nothing is left out between two calls.
func (s *stack[T]) whole(from, to int) bool {
	for i := from; i < to; i++ {
		if s.omits(i) {
			return false
		}
	}
	return true
}

// omits reports whether something is left out after a call.
func (s *stack[T]) omits(i int) bool { return s.frame(&s.calls[i]).Omitted != Omission{} }

func (s *stack[T]) equal(later, earlier int) bool {
	if s.lines[later] != s.lines[earlier] {
		return false
	}
	a, b := s.frame(&s.calls[later]), s.frame(&s.calls[earlier])
	return a.Function == b.Function && a.File == b.File && s.same(&s.calls[later], &s.calls[earlier])
}
