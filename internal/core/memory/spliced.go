package memory

import "slices"

// A Spliced is memory composed of several memories: a core's segments over the
// executable's. Each byte belongs to exactly one of them, the one that was put
// there last. A byte without an owner, or one that its owner cannot read, is
// unreadable. Spliced never looks for it in the memory below, which would be an
// older value, and never takes it from the next piece.
//
// The zero Spliced is empty. Put must not be called during reads.
type Spliced struct {
	pieces []piece // sorted, without overlaps, none empty
}

type piece struct {
	Range
	mem   Memory
	write bool
	exec  bool
}

var _ interface {
	Viewer
	Mapped
} = (*Spliced)(nil)

// Put makes mem the owner of seg's bytes. They have the same addresses in mem.
func (s *Spliced) Put(seg Segment, mem Memory) {
	if seg.Empty() {
		return
	}
	s.Cut(seg.Range)
	at, _ := s.search(seg.Start)
	s.pieces = slices.Insert(s.pieces, at, piece{seg.Range, mem, seg.Write, seg.Exec})
}

// PutAll puts every segment of mem.
func (s *Spliced) PutAll(mem Mapped) {
	for _, seg := range mem.Segments() {
		s.Put(seg, mem)
	}
}

// Cut removes the owner of the bytes of r.
func (s *Spliced) Cut(r Range) {
	if r.Empty() {
		return
	}
	from, _ := s.search(r.Start)
	to := from
	var rest []piece // remainders of the pieces that r cuts
	for ; to < len(s.pieces) && s.pieces[to].Start < r.End; to++ {
		old := s.pieces[to]
		if old.Start < r.Start {
			left := old
			left.End = r.Start
			rest = append(rest, left)
		}
		if r.End < old.End {
			right := old
			right.Start = r.End
			rest = append(rest, right)
		}
	}
	s.pieces = slices.Replace(s.pieces, from, to, rest...)
}

// CutAll is Cut for many ranges, in one pass: a core may have hundreds of
// thousands.
func (s *Spliced) CutAll(rs []Range) {
	rs = RangesOf(rs...)
	out := make([]piece, 0, len(s.pieces)+len(rs))
	next := 0
	for _, p := range s.pieces {
		for next < len(rs) && rs[next].End <= p.Start {
			next++
		}
		rest := p
		for _, r := range rs[next:] {
			if r.Start >= p.End {
				break
			}
			if rest.Start < r.Start {
				left := rest
				left.End = r.Start
				out = append(out, left)
			}
			rest.Start = max(rest.Start, r.End)
		}
		if rest.Start < p.End {
			out = append(out, rest)
		}
	}
	s.pieces = out
}

// search returns the index of the first piece that ends after addr, and whether
// that piece contains addr.
func (s *Spliced) search(addr Address) (int, bool) {
	at, _ := slices.BinarySearchFunc(s.pieces, addr, piece.CompareEnd)
	return at, at < len(s.pieces) && s.pieces[at].Contains(addr)
}

// Next returns the first range of one owner that ends after addr.
func (s *Spliced) Next(addr Address) (Range, bool) {
	at, _ := s.search(addr)
	if at == len(s.pieces) {
		return Range{}, false
	}
	return s.pieces[at].Range, true
}

// ReadAt implements Memory.
func (s *Spliced) ReadAt(p []byte, addr Address) (int, error) {
	done := 0
	at, _ := s.search(addr)
	for done < len(p) {
		here := addr.Add(uint64(done))
		if at == len(s.pieces) || !s.pieces[at].Contains(here) {
			return done, Unreadable(here, ErrNotMapped)
		}
		owner := &s.pieces[at]
		part := p[done:]
		if left := uint64(owner.End - here); uint64(len(part)) > left {
			part = part[:left]
		}
		n, err := owner.mem.ReadAt(part, here)
		done += n
		if n < len(part) {
			if err == nil { // a Memory that violates its contract must not cause an endless loop
				err = Unreadable(here.Add(uint64(n)), ErrNotMapped)
			}
			return done, err
		}
		at++
	}
	return done, nil
}

// View implements Viewer: it lends what a single piece can lend.
func (s *Spliced) View(addr Address, size uint64) ([]byte, bool) {
	at, ok := s.search(addr)
	if !ok || size > uint64(s.pieces[at].End-addr) {
		return nil, false
	}
	viewer, ok := s.pieces[at].mem.(Viewer)
	if !ok {
		return nil, false
	}
	return viewer.View(addr, size)
}

// Segments implements Mapped. It does not merge neighbours.
func (s *Spliced) Segments() []Segment {
	all := make([]Segment, len(s.pieces))
	for i, p := range s.pieces {
		all[i] = Segment{Range: p.Range, Write: p.write, Exec: p.exec}
	}
	return all
}
