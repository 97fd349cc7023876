package heap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// chunkBytes is how much memory is read at once: enough to make the cost of a
// system call small, and little enough to stay in the processor's cache.
const chunkBytes = 1 << 20

// A chunk is spans without gaps between them, to be read at once.
type chunk struct{ from, to int }

// chunks cuts the spans whose objects may hold pointers into pieces of work. A
// span that is larger than a piece is one of its own.
func (o *objects) chunks() []chunk {
	var all []chunk
	for i := 0; i < len(o.spans); {
		if o.spans[i].noscan() {
			i++
			continue
		}
		c := chunk{i, i + 1}
		for size := o.spans[i].size; c.to < len(o.spans); c.to++ {
			prev, next := &o.spans[c.to-1], &o.spans[c.to]
			if size += next.size; next.noscan() || prev.base+prev.size != next.base || size > chunkBytes {
				break
			}
		}
		all = append(all, c)
		i = c.to
	}
	return all
}

// An extraction reads the edges of a heap.
type extraction struct {
	*Graph
	layout *Layout
	mem    memory.Memory
	masks  *typeMasks
	arenas func(base, size uint64) (*arenaBits, error) // of Go 1.21, else nil
	image  memory.Range                                // where static types are

	mostBlocks int64        // of edges, 0 is any number
	taken      atomic.Int64 // blocks
}

// readEdges reads all spans whose objects may hold pointers, once.
func (x *extraction) readEdges(ctx context.Context, workers int, progress func(done, of uint64)) error {
	x.edges.first = make([]uint32, x.scan)
	chunks := x.chunks()
	var next atomic.Int64
	var done, missing, edges atomic.Uint64
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for i := range workers {
		wg.Go(func() {
			w := scanner{extraction: x}
			for ctx.Err() == nil && errs[i] == nil {
				k := int(next.Add(1)) - 1
				if k >= len(chunks) {
					break
				}
				size, err := w.chunk(chunks[k], k)
				if err == nil && x.mostBlocks > 0 && x.taken.Load() > x.mostBlocks {
					err = errRoom
				}
				errs[i] = err
				progress(done.Add(size), x.Totals.ScanBytes)
			}
			w.flush()
			missing.Add(w.missing)
			edges.Add(w.count)
		})
	}
	wg.Wait()
	x.Missing, x.Edges = missing.Load(), edges.Load()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("edges: %w", err)
	}
	if len(x.edges.blocks) > 1<<(32-blockShift) {
		return fmt.Errorf("edges: more than %d", uint64(1)<<32)
	}
	return ctx.Err()
}

// A scanner is one worker of an extraction.
type scanner struct {
	*extraction
	buf     []uint64
	block   []uint32 // edges that are not in the graph yet
	number  uint32   // of the block
	count   uint64
	missing uint64

	known map[uint64]*typeMask
	arena *arenaBits
	tags  []uint32 // of the chunk, see typedGraph
	tagOf map[uint64]uint32
}

// flush gives the block of edges to the graph.
func (w *scanner) flush() {
	if w.block != nil {
		w.count += uint64(len(w.block))
		w.edges.replace(w.number, w.block)
		w.block = nil
	}
}

// room makes sure that n more edges fit into the block.
func (w *scanner) room(n uint64) {
	if w.block != nil && uint64(cap(w.block)-len(w.block)) >= n {
		return
	}
	w.flush()
	w.block = make([]uint32, 0, blockSize)
	w.taken.Add(1)
	w.number = w.edges.add(nil)
}

// begin and end enclose the appending of an object's edges to the block, which has
// room for them.
func (w *scanner) end(slot uint32, begin int) {
	if n := len(w.block); n > begin {
		w.block[n-1] |= lastEdge
		w.edges.first[slot] = w.number<<blockShift | uint32(begin)
		return
	}
	w.edges.first[slot] = noEdge
}

// large adds the edges of an object that may have more than a block holds.
func (w *scanner) large(slot uint32, edges []uint32) {
	switch {
	case len(edges) == 0:
		w.edges.first[slot] = noEdge
	case len(edges) <= blockSize:
		w.room(uint64(len(edges)))
		begin := len(w.block)
		w.block = append(w.block, edges...)
		w.end(slot, begin)
	default:
		edges[len(edges)-1] |= lastEdge
		w.count += uint64(len(edges))
		w.taken.Add(int64(len(edges)/blockSize) + 1)
		w.edges.first[slot] = w.edges.add(edges) << blockShift
	}
}

// read fills the buffer with size bytes at base; what cannot be read is zero.
func (w *scanner) read(base, size uint64) []uint64 {
	if uint64(len(w.buf)) < size/memory.PtrSize {
		w.buf = make([]uint64, max(size, chunkBytes)/memory.PtrSize)
	}
	words := w.buf[:size/memory.PtrSize]
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), size)
	for done := uint64(0); done < size; {
		n, _ := w.mem.ReadAt(b[done:], memory.Address(base+done))
		if done += uint64(n); done == size {
			break
		}
		// The rest of the page is not there.
		skip := min(size-done, 4096-(base+done)%4096)
		clear(b[done : done+skip])
		w.missing += skip
		done += skip
	}
	return words
}

// chunk reads a chunk and adds its objects' edges.
func (w *scanner) chunk(c chunk, number int) (size uint64, err error) {
	spans := w.spans[c.from:c.to]
	last := &spans[len(spans)-1]
	size = last.base + last.size - spans[0].base
	w.tags = nil
	if w.arenas != nil {
		if w.arena, err = w.arenas(spans[0].base, size); err != nil {
			return 0, err
		}
	}
	if size > chunkBytes && spans[0].isLarge() && w.arenas == nil {
		w.pieces(&spans[0])
	} else {
		words := w.read(spans[0].base, size)
		for i := range spans {
			s := &spans[i]
			from := (s.base - spans[0].base) / memory.PtrSize
			w.span(s, words[from:from+s.size/memory.PtrSize])
		}
	}
	if w.typed != nil {
		w.typed.tags[number] = w.tags
	}
	return size, nil
}

// span adds the edges of a span's objects. words is its memory.
func (w *scanner) span(s *span, words []uint64) {
	per := s.elem / memory.PtrSize
	switch {
	case s.arena:
		w.each(s, words, func(object []uint64, at uint64, out []uint32) []uint32 { return w.all(s, object, at, out) })
	case w.arenas != nil:
		w.each(s, words, func(object []uint64, at uint64, out []uint32) []uint32 { return w.arenaMasked(s, object, at, out) })
	case s.isLarge():
		if s.large == 0 || !w.live.has(s.first) { // not initialised yet
			w.edges.first[s.first] = noEdge
			return
		}
		w.header(s.first, s.large)
		w.large(s.first, w.tile(s, words[:per], 0, w.mask(s.large), nil))
	case s.elem <= headerFrom:
		w.small(s, words)
	default:
		w.each(s, words, func(object []uint64, at uint64, out []uint32) []uint32 {
			if object[0] == 0 { // not initialised yet
				return out
			}
			w.header(s.first+uint32(at/per), object[0])
			return w.tile(s, object[1:], at+1, w.mask(object[0]), out)
		})
	}
}

// each calls add with each object in use, the number of its first word in the
// span, and the block to append edges to.
func (w *scanner) each(s *span, words []uint64, add func(object []uint64, at uint64, out []uint32) []uint32) {
	per := s.elem / memory.PtrSize
	for k := range s.nelems {
		slot, at := s.first+k, uint64(k)*per
		if !w.live.has(slot) {
			w.edges.first[slot] = noEdge
			continue
		}
		if per > blockSize {
			w.large(slot, add(words[at:at+per], at, nil))
			continue
		}
		w.room(per)
		begin := len(w.block)
		w.block = add(words[at:at+per], at, w.block)
		w.end(slot, begin)
	}
}

// small adds the edges of objects whose masks are at the span's end: a bit for
// each word of the span. Those of free slots are junk.
func (w *scanner) small(s *span, words []uint64) {
	per := s.elem / memory.PtrSize
	size := uint64(len(words)) / 64
	at := uint64(len(words)) - size
	if w.hasInlineMarks(s) {
		at -= inlineMarks / memory.PtrSize
	}
	bitmap := words[at : at+size]
	all := ^uint64(0) >> (64 - per)
	for k := range s.nelems {
		slot := s.first + k
		if !w.live.has(slot) {
			w.edges.first[slot] = noEdge
			continue
		}
		first := uint64(k) * per
		mask := bitmap[first/64] >> (first % 64)
		if first%64+per > 64 {
			mask |= bitmap[first/64+1] << (64 - first%64)
		}
		mask &= all
		w.room(per)
		begin, out := len(w.block), w.block
		for m := mask; m != 0; m &= m - 1 {
			z := uint64(bits.TrailingZeros64(m))
			v := words[first+z]
			if v == 0 {
				continue
			}
			if t, ok := w.slot(v); ok {
				out = append(out, t)
				if w.typed != nil {
					w.note(s, first+z, words[first:], z)
				}
			}
		}
		w.block = out
		w.end(slot, begin)
	}
}

// tile appends the edges of an object, or of a part of it that begins with an
// element of its type. at is the number of its first word in the span.
func (w *scanner) tile(s *span, object []uint64, at uint64, mask *typeMask, out []uint32) []uint32 {
	if mask == nil {
		return w.all(s, object, at, out)
	}
	for from := uint64(0); from < uint64(len(object)); from += mask.words {
		elem := object[from:]
		for i, m := range mask.bits {
			for ; m != 0; m &= m - 1 {
				z := uint64(i*64 + bits.TrailingZeros64(m))
				if z >= uint64(len(elem)) {
					return out
				}
				if elem[z] == 0 {
					continue
				}
				if t, ok := w.slot(elem[z]); ok {
					out = append(out, t)
					if w.typed != nil {
						w.note(s, at+from+z, elem, z)
					}
				}
			}
		}
	}
	return out
}

// all appends an edge for each word that may be a pointer.
func (w *scanner) all(s *span, object []uint64, at uint64, out []uint32) []uint32 {
	for z, v := range object {
		if t, ok := w.slot(v); ok {
			out = append(out, t)
			if w.typed != nil {
				w.note(s, at+uint64(z), object, uint64(z))
			}
		}
	}
	return out
}

// pieces adds the edges of a large object, which it reads piece by piece.
func (w *scanner) pieces(s *span) {
	if s.large == 0 || !w.live.has(s.first) {
		w.edges.first[s.first] = noEdge
		return
	}
	w.header(s.first, s.large)
	mask := w.mask(s.large)
	step := uint64(chunkBytes)
	if mask != nil {
		elem := mask.words * memory.PtrSize
		step = max(step/elem, 1) * elem
	}
	var out []uint32
	for from := uint64(0); from < s.elem; from += step {
		words := w.read(s.base+from, min(step, s.elem-from))
		out = w.tile(s, words, from/memory.PtrSize, mask, out)
	}
	w.large(s.first, out)
}

// mask returns the mask of a type, nil if it is not known.
func (w *scanner) mask(addr uint64) *typeMask {
	mask, ok := w.known[addr]
	if !ok {
		if w.known == nil {
			w.known = map[uint64]*typeMask{}
		}
		mask = w.masks.at(addr)
		w.known[addr] = mask
	}
	return mask
}

// arenaBits are the masks that Go 1.21 keeps for each arena: a bit for each word,
// and a bit for each 64 words that is set when the object in the last of them has
// no pointers in the words after it.
type arenaBits struct {
	base   uint64
	bitmap []uint64
	noMore []byte
}

const (
	arenaBytes  = 1 << arenaShift
	arenaNoMore = 1 << 20 // heapArena.noMorePtrs, after its bitmap
	arenaOfHeap = 65944   // mheap.arenas in Go 1.21
)

// readArenas returns a function that reads the masks of memory in the arenas of
// the runtime.mheap at addr.
func readArenas(mem memory.Memory, addr memory.Address, amd64 bool) func(base, size uint64) (*arenaBits, error) {
	r := memory.Reader{Memory: mem}
	return func(base, size uint64) (*arenaBits, error) {
		second, err := r.Pointer(addr.Add(arenaOfHeap))
		if err != nil {
			return nil, err
		}
		a := &arenaBits{base: base}
		for from, end := base, base+size; from < end; {
			to := min(end, from&^(arenaBytes-1)+arenaBytes)
			number := from >> arenaShift
			if amd64 {
				number += 1 << (47 - arenaShift)
			}
			arena, err := r.Pointer(second.Add(number * memory.PtrSize))
			if err != nil {
				return nil, err
			}
			in, n := from%arenaBytes, to-from
			b, err := r.Bytes(arena.Add(in/64), n/64, arenaBytes/64)
			if err != nil {
				return nil, err
			}
			more, err := r.Bytes(arena.Add(arenaNoMore+in/4096), n/4096, arenaBytes/4096)
			if err != nil {
				return nil, err
			}
			for ; len(b) > 0; b = b[8:] {
				a.bitmap = append(a.bitmap, binary.LittleEndian.Uint64(b))
			}
			a.noMore = append(a.noMore, more...)
			from = to
		}
		return a, nil
	}
}

// arenaMasked appends the edges of an object whose mask is in its arena.
func (w *scanner) arenaMasked(s *span, object []uint64, at uint64, out []uint32) []uint32 {
	for i := uint64(0); i < uint64(len(object)); {
		word := (s.base-w.arena.base)/memory.PtrSize + at + i
		m := w.arena.bitmap[word/64] >> (word % 64)
		n := min(64-word%64, uint64(len(object))-i)
		m &= ^uint64(0) >> (64 - n)
		for ; m != 0; m &= m - 1 {
			z := i + uint64(bits.TrailingZeros64(m))
			if t, ok := w.slot(object[z]); ok && object[z] != 0 {
				out = append(out, t)
				if w.typed != nil {
					w.note(s, at+z, object, z)
				}
			}
		}
		if (word+n)%64 == 0 && w.arena.noMore[word/64/8]>>(word/64%8)&1 != 0 {
			break
		}
		i += n
	}
	return out
}
