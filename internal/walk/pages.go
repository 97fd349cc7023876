package walk

import (
	"cmp"
	"errors"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
)

const (
	pageSize  = 4096
	pageShift = 12
	wordBytes = memory.PtrSize
)

// A page is the walk's knowledge of one page of the target: its bytes, once
// read; which of them are captured; and what was walked in it.
//
// Visits are recorded here, in arrays indexed by address, not in a Go map: a
// graph of a million objects then costs two cache misses per object instead of
// a hash, a probe and a growing table.
type page struct {
	num  uint64 // address >> pageShift
	data *[pageSize]byte
	// Bit n is set if byte n is captured. Nil if none or all are.
	captured *[pageSize / 64]uint64
	// What was walked from each word: see visitMark. Nil if nothing was.
	marks *[pageSize / wordBytes]visitMark
	// Bit n is set if a value begins at word n. Nil if none does, or without
	// Config.Starts.
	starts *[pageSize / wordBytes / 64]uint64
	// In an audit, the node of the object at each word; nil if there is none.
	nodes *[pageSize / wordBytes]uint32
	state pageState
	full  bool // every byte is captured
}

type pageState uint8

const (
	pageUnread  pageState = iota
	pageWanted            // in the list of the next prefetch
	pageWhole             // data has all bytes
	pagePatchy            // a part of it is unreadable: read the memory each time
	pageMissing           // no byte of it is readable
)

// A visitMark records that a value of the plan with this number was walked from
// a word, and with which rank: an earlier visit with a lower rank, which could
// follow fewer pointers, must not prevent one with a higher rank. The plan's
// number is in the upper 20 bits, the rank in the lower 12.
type visitMark uint32

const (
	rankBits = 12
	maxRank  = 1<<rankBits - 1
	maxPlans = 1<<(32-rankBits) - 1
)

// pages are the pages that the walk met, in an open-addressed table.
type pages struct {
	mem    memory.Memory
	moving bool    // it changes while it is read: see renew
	table  []*page // power of two long
	count  int
	last   *page
	wanted []*page
	held   int // pages with bytes in memory
	limit  int // maximum of held
	most   int // maximum pages in the table; the walk ends beyond it
	reads  int // pages read
	slab   []page
	data   []byte // unused whole pages
	arena  *memory.Arena
	bits   [][pageSize / 64]uint64
	mark   [][pageSize / wordBytes]visitMark
	start  [][pageSize / wordBytes / 64]uint64
	wide   []byte // scratch for reads across pages

	scratch []byte        // of renew
	holes   memory.Ranges // unreadable captured memory, known after readRest
}

func newPages(mem memory.Memory, limit, most int, arena *memory.Arena) *pages {
	return &pages{mem: mem, table: make([]*page, 1024), limit: limit, most: most, arena: arena}
}

// at returns the page of addr, and creates it if it is new.
func (s *pages) at(addr memory.Address) *page {
	num := uint64(addr) >> pageShift
	if s.last != nil && s.last.num == num {
		return s.last
	}
	slot := s.slot(num)
	if s.table[slot] == nil {
		if s.count*2 >= len(s.table) {
			s.grow()
			slot = s.slot(num)
		}
		s.table[slot] = s.newPage(num)
		s.count++
	}
	s.last = s.table[slot]
	return s.last
}

// find returns the page of addr, or nil if the walk did not meet it.
func (s *pages) find(addr memory.Address) *page {
	return s.table[s.slot(uint64(addr)>>pageShift)]
}

func (s *pages) slot(num uint64) int {
	mask := len(s.table) - 1
	i := int((num*0x9e3779b97f4a7c15)>>32) & mask
	for s.table[i] != nil && s.table[i].num != num {
		i = (i + 1) & mask
	}
	return i
}

func (s *pages) grow() {
	old := s.table
	s.table = make([]*page, 2*len(old))
	for _, p := range old {
		if p != nil {
			s.table[s.slot(p.num)] = p
		}
	}
}

// take cuts one element off a slab and refills the slab when it is used up.
func take[T any](slab *[]T, refill int) *T {
	if len(*slab) == 0 {
		*slab = make([]T, refill)
	}
	one := &(*slab)[0]
	*slab = (*slab)[1:]
	return one
}

func (s *pages) newPage(num uint64) *page {
	p := take(&s.slab, 1024)
	p.num = num
	return p
}

// want asks for the pages of a range to be read by the next prefetch.
func (s *pages) want(addr memory.Address, size uint64) {
	if size == 0 {
		return
	}
	end := addr.Add(size - 1)
	for a := addr; ; a = a.Add(pageSize) {
		if p := s.at(a); p.state == pageUnread || s.moving && p.state == pageWhole {
			p.state = pageWanted
			s.wanted = append(s.wanted, p)
		}
		if uint64(a)>>pageShift >= uint64(end)>>pageShift {
			return
		}
	}
}

// prefetch reads the wanted pages, consecutive ones in one piece.
func (s *pages) prefetch() error {
	s.wanted = slices.DeleteFunc(s.wanted, func(p *page) bool { return p.state != pageWanted })
	if len(s.wanted) == 0 {
		return nil
	}
	if s.held+len(s.wanted) > s.limit {
		s.forget()
	}
	slices.SortFunc(s.wanted, func(a, b *page) int { return cmp.Compare(a.num, b.num) })
	const most = 256 // pages in a piece: process_vm_readv gains nothing from more
	if s.moving {
		s.renew()
	}
	var pieces []memory.Piece
	var first []int // index in wanted of each piece's first page
	for i := 0; i < len(s.wanted); {
		n := 1
		for n < most && i+n < len(s.wanted) && s.wanted[i+n].num == s.wanted[i].num+uint64(n) {
			n++
		}
		pieces = append(pieces, memory.Piece{Addr: memory.Address(s.wanted[i].num << pageShift), Data: s.block(n)})
		first = append(first, i)
		i += n
	}
	err := memory.ReadBatch(s.mem, pieces)
	for k, piece := range pieces {
		for i, n := first[k], 0; n < len(piece.Data); i, n = i+1, n+pageSize {
			p := s.wanted[i]
			p.state = pageUnread
			if err == nil && n+pageSize <= piece.N {
				p.data, p.state = (*[pageSize]byte)(piece.Data[n:]), pageWhole
				s.held++
				s.reads++
			}
		}
	}
	// The pages after a hole have not been tried yet.
	for _, p := range s.wanted {
		if err == nil && p.state == pageUnread {
			s.load(p)
		}
	}
	s.wanted = s.wanted[:0]
	return err
}

// renew reads the wanted pages that were already read, and removes them from
// the list. A round must read a page after the pointer that led to it: an older
// reading may be from before the value was there. Captured bytes stay as they
// were when the walk followed them.
func (s *pages) renew() {
	const most = 256 // pages at a time
	old := s.wanted[:0:0]
	s.wanted = slices.DeleteFunc(s.wanted, func(p *page) bool {
		if p.data == nil {
			return false
		}
		p.state = pageWhole
		old = append(old, p)
		return true
	})
	for batch := range slices.Chunk(old, most) {
		if len(s.scratch) == 0 {
			s.scratch = make([]byte, most*pageSize)
		}
		pieces := make([]memory.Piece, len(batch))
		for i, p := range batch {
			pieces[i] = memory.Piece{Addr: memory.Address(p.num << pageShift), Data: s.scratch[i*pageSize : (i+1)*pageSize]}
		}
		if memory.ReadBatch(s.mem, pieces) != nil {
			return // the next reading fails too, and reports it
		}
		for i, p := range batch {
			if pieces[i].N == pageSize {
				p.merge((*[pageSize]byte)(pieces[i].Data))
			}
		}
	}
}

// merge takes over the bytes of a page that are not captured.
func (p *page) merge(now *[pageSize]byte) {
	switch {
	case p.full:
	case p.captured == nil:
		*p.data = *now
	default:
		for at := 0; at < pageSize; {
			start := nextBit(p.captured, at, false)
			at = nextBit(p.captured, start, true)
			copy(p.data[start:at], now[start:at])
		}
	}
}

// reread reads the bytes at addr again, captured or not. They must have been
// read before. It reports whether they are readable.
func (s *pages) reread(addr memory.Address, data []byte) bool {
	now := make([]byte, len(data))
	if n, _ := s.mem.ReadAt(now, addr); n < len(now) {
		return false
	}
	copy(data, now)
	for len(now) > 0 {
		p := s.at(addr)
		off := uint64(addr) & (pageSize - 1)
		n := min(pageSize-off, uint64(len(now)))
		if p.data != nil {
			copy(p.data[off:], now[:n])
		}
		now, addr = now[n:], addr.Add(n)
	}
	return true
}

// ReadAt reads captured bytes that the walk has read, as they were when it
// followed them. It stops at the first other byte.
func (s *pages) ReadAt(b []byte, addr memory.Address) (n int, err error) {
	for n < len(b) {
		at := addr.Add(uint64(n))
		p, off := s.find(at), int(uint64(at)&(pageSize-1))
		if p == nil || p.data == nil || !p.full && p.captured == nil {
			break
		}
		end := pageSize
		if !p.full {
			end = nextBit(p.captured, off, false)
		}
		if end <= off {
			break
		}
		n += copy(b[n:], p.data[off:end])
	}
	if n < len(b) {
		return n, memory.Unreadable(addr.Add(uint64(n)), errNotSeen)
	}
	return n, nil
}

var errNotSeen = errors.New("the walk did not read it")

// block returns memory for n pages in one piece.
func (s *pages) block(n int) []byte {
	size := n * pageSize
	if len(s.data) < size {
		s.data = s.arena.Take(uint64(max(size, 64*pageSize)))
	}
	b := s.data[:size:size]
	s.data = s.data[size:]
	return b
}

// load reads one page.
func (s *pages) load(p *page) {
	if s.held >= s.limit {
		s.forget()
	}
	buf := (*[pageSize]byte)(s.block(1))
	n, _ := s.mem.ReadAt(buf[:], memory.Address(p.num<<pageShift))
	switch {
	case n == pageSize:
		p.data, p.state = buf, pageWhole
		s.held++
		s.reads++
	default:
		// The hole may be at the start of the page, with readable bytes after it.
		p.state = pagePatchy
		if n == 0 && !s.anyByte(p) {
			p.state = pageMissing
		}
	}
}

// anyByte reports whether any byte of a page whose first byte is unreadable can
// be read. Live memory comes in whole pages; cores and files do not.
func (s *pages) anyByte(p *page) bool {
	var b [1]byte
	for off := uint64(wordBytes); off < pageSize; off += wordBytes {
		if n, _ := s.mem.ReadAt(b[:], memory.Address(p.num<<pageShift+off)); n == 1 {
			return true
		}
		if _, mapped := s.mem.(memory.Mapped); !mapped && off >= 8*wordBytes {
			return false // live memory: a page is readable or not
		}
	}
	return false
}

// forget drops the bytes of all pages, to be read again when needed. The
// records of captured and walked memory stay.
func (s *pages) forget() {
	held := 0
	for _, p := range s.table {
		if p == nil || p.state != pageWhole {
			continue
		}
		if s.moving && (p.full || p.captured != nil) {
			held++ // its bytes are the captured ones
			continue
		}
		p.data, p.state = nil, pageUnread
	}
	s.held, s.data = held, nil
}

// bytes returns the size bytes at addr, valid until the next call, or false if
// one of them is unreadable. It is for values, not for bulk data.
func (s *pages) bytes(addr memory.Address, size uint64) ([]byte, bool) {
	return s.read(addr, size, &s.wide)
}

// lasting is like bytes, but its result stays valid.
func (s *pages) lasting(addr memory.Address, size uint64) ([]byte, bool) {
	return s.read(addr, size, new([]byte))
}

// read returns bytes inside a page if they are in one page, else a copy in
// scratch.
func (s *pages) read(addr memory.Address, size uint64, scratch *[]byte) ([]byte, bool) {
	off := uint64(addr) & (pageSize - 1)
	if size <= pageSize-off {
		return s.within(s.at(addr), off, size)
	}
	if addr.Add(size).Sub(addr) != int64(size) {
		return nil, false
	}
	if uint64(cap(*scratch)) < size {
		*scratch = make([]byte, size)
	}
	out := (*scratch)[:size]
	for done := uint64(0); done < size; {
		off := uint64(addr.Add(done)) & (pageSize - 1)
		n := min(pageSize-off, size-done)
		part, ok := s.within(s.at(addr.Add(done)), off, n)
		if !ok {
			return nil, false
		}
		done += uint64(copy(out[done:], part))
	}
	return out, true
}

// need reads a page unless that was already tried.
func (s *pages) need(p *page) {
	if p.data == nil && (p.state == pageUnread || p.state == pageWanted) {
		s.load(p) // prefetch then skips it
	}
}

func (s *pages) within(p *page, off, size uint64) ([]byte, bool) {
	s.need(p)
	switch {
	case p.data != nil:
		return p.data[off : off+size], true
	case p.state == pagePatchy:
		b := make([]byte, size)
		n, _ := s.mem.ReadAt(b, memory.Address(p.num<<pageShift+off))
		return b, uint64(n) == size
	}
	return nil, false
}
