package heap

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/module"
)

// addRoot adds a root and returns its number.
func (x *extraction) addRoot(r Root) uint32 {
	x.Roots = append(x.Roots, r)
	return uint32(len(x.Roots) - 1)
}

// reach adds an edge from a root to the object that v points at, if it does.
func (x *extraction) reach(root uint32, v uint64) {
	if slot, ok := x.slot(v); ok {
		x.into = append(x.into, rootEdge{root, slot, nowhere})
	}
}

// own makes a root the only one that counts for an object: what else points at
// it, such as a list of all goroutines, does not.
func (x *extraction) own(root uint32, v uint64) {
	slot, ok := x.slot(v)
	if !ok || !x.live.has(slot) {
		return
	}
	if _, taken := x.sole[slot]; taken {
		return
	}
	x.sole[slot] = root
	x.only.set(slot)
	x.into = append(x.into, rootEdge{root, slot, nowhere})
}

func (x *extraction) problem(what string, err error) {
	x.Problems = append(x.Problems, fmt.Sprintf("%s: %v", what, err))
}

// A dataWord is a pointer in the program's data, to an object or to other data.
type dataWord struct {
	addr, value uint64
	tag         uint64 // the word before it
	owner       int    // number of its root, or noOwner

	// If it is in a literal: where that begins, and the index plus 1 of a word that
	// points there.
	start uint64
	via   int
}

const noOwner = -1

// A dataReader finds out which variable each pointer in the program's data is in.
//
// Memory that no variable of a known name covers holds variables whose names are
// not known, and composite literals that the compiler laid down. A literal belongs
// to the variable that points at it.
type dataReader struct {
	*extraction
	named  []Named        // by address, without overlaps
	number map[string]int // of the root, by the name of the variable
	data   []memory.Range
	words  []dataWord
	laid   map[int]uint32 // numbers of literals, by the index of the word that points at it
}

// readData adds the edges from the program's variables.
func (x *extraction) readData(prog *module.Program, named []Named) error {
	d := dataReader{extraction: x, named: named, number: map[string]int{}, laid: map[int]uint32{}}
	for i := range named {
		if named[i].Entry {
			d.root(i)
		}
	}
	for _, m := range prog.Modules {
		d.data = append(d.data, m.Data, m.BSS, m.NoPtrData, m.NoPtrBSS)
		masks, err := m.PointerMasks(x.mem)
		if err != nil {
			return fmt.Errorf("variables: %w", err)
		}
		for _, mask := range masks {
			if err := d.read(mask); err != nil {
				return fmt.Errorf("variables: %w", err)
			}
		}
	}
	d.adopt()
	for i := range d.words {
		d.edge(&d.words[i])
	}
	return nil
}

// read collects the pointers of a part of the data.
func (d *dataReader) read(mask module.PointerMask) error {
	buf := make([]byte, min(mask.Size(), chunkBytes))
	prev := uint64(0)
	for at := uint64(0); at < mask.Size(); at += uint64(len(buf)) {
		b := buf[:min(uint64(len(buf)), mask.Size()-at)]
		if n, err := d.mem.ReadAt(b, mask.Start.Add(at)); n < len(b) {
			return err
		}
		for off := uint64(0); off+8 <= uint64(len(b)); off += 8 {
			v := binary.LittleEndian.Uint64(b[off:])
			if v != 0 && mask.Has((at+off)/8) && d.matters(v) {
				d.words = append(d.words, dataWord{addr: uint64(mask.Start) + at + off, value: v, tag: prev, owner: d.owner(uint64(mask.Start) + at + off)})
			}
			prev = v
		}
	}
	return nil
}

// matters reports whether v points at an object or at data.
func (d *dataReader) matters(v uint64) bool {
	if _, ok := d.slot(v); ok {
		return true
	}
	return slices.ContainsFunc(d.data, func(r memory.Range) bool { return r.Contains(memory.Address(v)) })
}

// at returns the index of the variable of a known name at an address, or the index
// at which one would be.
func (d *dataReader) at(addr uint64) (int, bool) {
	return slices.BinarySearchFunc(d.named, memory.Address(addr), func(n Named, a memory.Address) int {
		switch {
		case n.End <= a:
			return -1
		case n.Start > a:
			return 1
		}
		return 0
	})
}

// owner returns the number of the root of the variable at an address.
func (d *dataReader) owner(addr uint64) int {
	if i, ok := d.at(addr); ok {
		return d.root(i)
	}
	return noOwner
}

// root returns the number of the root of a variable.
func (d *dataReader) root(i int) int {
	n := &d.named[i]
	number, ok := d.number[n.Name]
	if !ok {
		kind := Global
		switch {
		case n.Entry:
			kind = Entry
		case strings.HasPrefix(n.Name, "runtime.") || strings.HasPrefix(n.Name, "internal/runtime/"):
			kind = Runtime
		}
		number = int(d.addRoot(Root{Kind: kind, Name: n.Name, Count: 1, global: n}))
		d.number[n.Name] = number
	}
	return number
}

// adopt gives words without a variable of a known name to the one that points at
// the memory they are in, if there is exactly one.
func (d *dataReader) adopt() {
	const several, unknown = -2, -3
	const rounds = 16 // of literals within literals
	strict := true
	for range rounds {
		owners, via := map[uint64]int{}, map[uint64]int{}
		for i := range d.words {
			w := &d.words[i]
			if _, named := d.at(w.value); named {
				continue
			}
			owner, ok := owners[w.value]
			if w.owner == noOwner {
				// The owner of what it points at may be found later. Until then the literal
				// before that ends there.
				if !ok && strict {
					owners[w.value] = unknown
				}
				continue
			}
			if ok && owner != w.owner && owner != unknown {
				owners[w.value] = several
			} else {
				owners[w.value] = w.owner
				if via[w.value] == 0 {
					via[w.value] = i + 1
				}
			}
		}
		starts := make([]uint64, 0, len(owners))
		for start := range owners {
			starts = append(starts, start)
		}
		slices.Sort(starts)
		changed := false
		for i := range d.words {
			w := &d.words[i]
			if w.owner != noOwner {
				continue
			}
			at, exact := slices.BinarySearch(starts, w.addr)
			if !exact {
				at--
			}
			if at < 0 || owners[starts[at]] == several || owners[starts[at]] == unknown {
				continue
			}
			// The literal ends where a variable begins.
			if k, _ := d.at(w.addr); k > 0 && uint64(d.named[k-1].End) > starts[at] {
				continue
			}
			w.owner, w.start, w.via, changed = owners[starts[at]], starts[at], via[starts[at]], true
		}
		if !changed && !strict {
			return
		}
		strict = strict && changed
	}
}

// edge adds the edge of a word that points at an object.
func (d *dataReader) edge(w *dataWord) {
	slot, ok := d.slot(w.value)
	if !ok {
		return
	}
	if w.owner == noOwner {
		w.owner = int(d.addRoot(Root{Kind: Global, Name: d.placeName(w.addr), Count: 1}))
	}
	d.into = append(d.into, rootEdge{uint32(w.owner), slot, d.place(w)})
}

// place returns where a word is.
func (d *dataReader) place(w *dataWord) place {
	p := nowhere
	switch n := d.Roots[w.owner].global; {
	case n != nil && n.Contains(memory.Address(w.addr)):
		p.word = uint32((w.addr - uint64(n.Start)) / 8)
	case w.via > 0:
		p.literal, p.word = d.literal(w.via-1), uint32((w.addr-w.start)/8)
	default:
		return p
	}
	if d.typed != nil && d.image.Contains(memory.Address(w.tag)) {
		p.tag = d.typed.tag(w.tag)
	}
	return p
}

// literal returns the number plus 1 of the literal that a word points at.
func (d *dataReader) literal(i int) uint32 {
	n, ok := d.laid[i]
	if !ok {
		w := &d.words[i]
		l := literal{uint32(w.owner), d.place(w)} // each is in one that was found before it
		d.literals = append(d.literals, l)
		n = uint32(len(d.literals))
		d.laid[i] = n
	}
	return n
}

// placeName names a variable by where it is.
func (d *dataReader) placeName(addr uint64) string {
	for i, r := range d.data {
		if r.Contains(memory.Address(addr)) {
			return fmt.Sprintf("%s+%#x", [...]string{"data", "bss", "noptrdata", "noptrbss"}[i%4], addr-uint64(r.Start))
		}
	}
	return fmt.Sprintf("%#x", addr)
}

// sortRoots orders the roots by their kind, and the edges by their roots: entries
// come first, so that an object that an entry and another root reach counts as the
// entry's.
func (x *extraction) sortRoots() {
	order := make([]uint32, len(x.Roots))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(x.Roots[a].Kind, x.Roots[b].Kind) })
	roots, place := make([]Root, len(order)), make([]uint32, len(order))
	for now, was := range order {
		roots[now], place[was] = x.Roots[was], uint32(now)
	}
	x.Roots = roots
	for i := range x.into {
		x.into[i].root = place[x.into[i].root]
	}
	for i := range x.literals {
		x.literals[i].root = place[x.literals[i].root]
	}
	for slot, root := range x.sole {
		x.sole[slot] = place[root]
	}
	slices.SortStableFunc(x.into, func(a, b rootEdge) int { return cmp.Compare(a.root, b.root) })
}
