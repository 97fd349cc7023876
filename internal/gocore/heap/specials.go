package heap

import (
	"encoding/binary"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// readSpecials adds the edges from what the runtime keeps for single objects: a
// finalizer keeps its function and all that its object reaches, a cleanup its
// function and argument, a weak pointer its handle.
func (x *extraction) readSpecials() {
	finalizers := x.addRoot(Root{Kind: Finalizer, Name: "finalizers"})
	cleanups := x.addRoot(Root{Kind: Cleanup, Name: "cleanups"})
	weak := x.addRoot(Root{Kind: Cleanup, Name: "weak pointers"})
	bad, first := 0, error(nil)
	seen := map[uint64]bool{} // a list that is damaged must end
	for i := range x.spans {
		s := &x.spans[i]
		for at := s.specials; at != 0 && !seen[at]; {
			seen[at] = true
			const size = 56 // of the largest
			var b [size]byte
			need := x.layout.specialData + 24
			if n, err := x.mem.ReadAt(b[:], memory.Address(at)); n < need {
				bad++
				first = err
				break
			}
			word := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
			data := x.layout.specialData
			switch kind := b[x.layout.specialKind]; kind {
			case 0:
			case x.layout.kinds.finalizer:
				x.Roots[finalizers].Count++
				x.reach(finalizers, word(data))
				x.reachFrom(finalizers, s, x.specialOffset(&b))
			case x.layout.kinds.weak:
				x.Roots[weak].Count++
				x.reach(weak, word(data))
			case x.layout.kinds.cleanup:
				x.Roots[cleanups].Count++
				x.reach(cleanups, word(data))
				if x.layout.cleanupID { // {call, fn, arg}
					x.reach(cleanups, word(data+8))
					x.reach(cleanups, word(data+16))
				}
			}
			at = word(0)
		}
	}
	if bad > 0 {
		x.problem("finalizers and cleanups", fmt.Errorf("those of %d spans could not be read: %w", bad, first))
	}
}

// specialOffset is the place of a special's object in its span.
func (x *extraction) specialOffset(b *[56]byte) uint64 {
	if x.layout.specialKind == 10 { // 16 bits in front of the kind
		return uint64(binary.LittleEndian.Uint16(b[8:]))
	}
	return binary.LittleEndian.Uint64(b[8:])
}

// reachFrom adds an edge from a root to everything that an object points at.
func (x *extraction) reachFrom(root uint32, s *span, offset uint64) {
	slot, ok := x.slot(s.base + offset)
	if !ok {
		return
	}
	for _, e := range x.edges.of(slot) {
		x.into = append(x.into, rootEdge{root, e &^ lastEdge, nowhere})
		if e&lastEdge != 0 {
			break
		}
	}
}

// readQueues adds the edges from the finalizers and cleanups that wait to be run.
// Their blocks are outside of the heap, and only symbols lead to them.
func (x *extraction) readQueues(symbol func(string) (memory.Address, bool)) {
	const maxBlocks = 1 << 20
	r := memory.Reader{Memory: x.mem}
	if at, ok := symbol("runtime.allfin"); ok {
		const header, entry, count, most = 24, 40, 16, 101
		root := x.addRoot(Root{Kind: Finalizer, Name: "finalizers to be run"})
		block, err := r.Pointer(at)
		for n := 0; err == nil && block != 0 && n < maxBlocks; n++ {
			var used uint32
			if used, err = r.Uint32(block.Add(count)); err != nil || used > most {
				break
			}
			x.Roots[root].Count += int(used)
			x.reachWords(root, block.Add(header), uint64(used)*entry)
			block, err = r.Pointer(block)
		}
	}
	if at, ok := symbol("runtime.gcCleanups"); ok && x.layout.minor >= 25 {
		const all, link, count, header, size = 128, 16, 24, 32, 512
		root := x.addRoot(Root{Kind: Cleanup, Name: "cleanups to be run"})
		block, err := r.Pointer(at.Add(all))
		entry := uint32(8)
		if x.layout.cleanupID {
			entry = 24
		}
		for n := 0; err == nil && block != 0 && n < maxBlocks; n++ {
			var used uint32
			if used, err = r.Uint32(block.Add(count)); err != nil || used > (size-header)/entry {
				break
			}
			x.Roots[root].Count += int(used)
			x.reachWords(root, block.Add(header), uint64(used*entry))
			block, err = r.Pointer(block.Add(link))
		}
	}
}

// reachWords adds an edge from a root for each word that points at an object.
func (x *extraction) reachWords(root uint32, addr memory.Address, size uint64) {
	b, err := memory.Reader{Memory: x.mem}.Bytes(addr, size, size)
	if err != nil {
		x.problem(x.Roots[root].Name, err)
		return
	}
	for ; len(b) >= 8; b = b[8:] {
		x.reach(root, binary.LittleEndian.Uint64(b))
	}
}

// readCaches makes the caches of sync.Pool and the timers roots of their own: what
// only they keep is not the fault of the variable that leads to them. Only symbols
// lead to the lists of both.
func (x *extraction) readCaches(symbol func(string) (memory.Address, bool)) {
	r := memory.Reader{Memory: x.mem}
	pools := x.addRoot(Root{Kind: Pools, Name: "sync.Pool"})
	const poolLocal, poolVictim, most = 0, 16, 1 << 20
	for _, name := range []string{"sync.allPools", "sync.oldPools"} {
		x.eachOf(symbol, name, most, func(pool memory.Address) {
			if name == "sync.allPools" {
				x.Roots[pools].Count++
			}
			for _, off := range []uint64{poolLocal, poolVictim} {
				if v, err := r.Uint64(pool.Add(off)); err == nil {
					x.own(pools, v)
				}
			}
		})
	}
	timers := x.addRoot(Root{Kind: Timers, Name: "timers"})
	const maxProcs = 1 << 16
	x.eachOf(symbol, "runtime.allp", maxProcs, func(p memory.Address) {
		if list := x.timersOf(p); list.Len > 0 {
			x.Roots[timers].Count += int(min(list.Len, maxSlots))
			x.own(timers, uint64(list.Data))
		}
	})
}

// timersOf returns the slice of timers in the runtime.p at an address. Its
// offset depends on experiments since Go 1.23, but it is recognized by its
// fields:
//
//	type timers struct {
//		mu          mutex
//		heap        []timerWhen   // {timer *timer; when int64}
//		len         atomic.Uint32 // len(heap)
//		…
//		minWhenHeap atomic.Int64  // heap[0].when, at offset 48
func (x *extraction) timersOf(p memory.Address) memory.Slice {
	r := memory.Reader{Memory: x.mem}
	if x.layout.timers > 0 {
		list, err := r.Slice(p.Add(uint64(x.layout.timers)))
		if err != nil || list.Len > list.Cap {
			return memory.Slice{}
		}
		return list
	}
	const maxP = 64 << 10
	i, ok := x.slot(uint64(p))
	if !ok {
		return memory.Slice{}
	}
	b, err := r.Bytes(p, x.sizeOf(i), maxP)
	if err != nil {
		return memory.Slice{}
	}
	le := binary.LittleEndian
	for off := 0; off+56 <= len(b); off += 8 {
		list := memory.Slice{Data: memory.Address(le.Uint64(b[off+8:])), Len: le.Uint64(b[off+16:]), Cap: le.Uint64(b[off+24:])}
		if list.Data == 0 || list.Len == 0 || list.Len > list.Cap || list.Len != uint64(le.Uint32(b[off+32:])) {
			continue
		}
		if when, err := r.Uint64(list.Data.Add(8)); err == nil && when != 0 && when == le.Uint64(b[off+48:]) {
			return list
		}
	}
	return memory.Slice{}
}

// eachOf calls f with each pointer in a slice that a symbol names.
func (x *extraction) eachOf(symbol func(string) (memory.Address, bool), name string, most uint64, f func(memory.Address)) {
	at, ok := symbol(name)
	if !ok {
		return
	}
	r := memory.Reader{Memory: x.mem}
	list, err := r.Slice(at)
	if err != nil || list.Len > list.Cap || list.Len > most {
		return
	}
	for i := range list.Len {
		p, err := r.Pointer(list.Data.Add(i * memory.PtrSize))
		if err != nil {
			return
		}
		if p != 0 {
			f(p)
		}
	}
}
