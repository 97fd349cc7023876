package value

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// Bounds of what is believed. mostTables is that of the tables of one map,
// mostChain that of the buckets that overflow one into the next.
const (
	mostTables = 1 << 20
	mostChain  = 1 << 16
	mostGroups = 1 << 24 // groups and buckets of one map
	mostLost   = 1 << 16 // of them that are not there
)

// mapping reads a map. Entries are sorted by their keys.
func (r *reader) mapping(v *Value, t *gotypes.Type, addr memory.Address, depth int) {
	v.Shape, v.Addr = Map, addr
	if addr == 0 {
		v.Shape = Nil
		return
	}
	// Of a map that was not followed the core need not have what its type
	// consists of.
	if _, ok := r.p.read(addr, memory.PtrSize); !ok {
		r.missing(v, addr, memory.PtrSize)
		return
	}
	layout, err := t.MapLayout()
	if err != nil {
		v.Missing = BadType
		v.Notes = append(v.Notes, err.Error())
		return
	}
	m := mapReader{r: r, v: v, l: layout, depth: depth - 1}
	if layout.Swiss {
		m.swiss(addr)
	} else {
		m.buckets(addr)
	}
	if v.Missing == "" && depth == 0 && m.count > 0 {
		v.Missing = TooMuch
		return
	}
	m.finish()
}

// A mapReader collects the entries of one map.
type mapReader struct {
	r     *reader
	v     *Value
	l     *gotypes.MapLayout
	depth int
	count uint64 // that the map says it has
	found uint64
	slots []slot
	seen  uint64 // groups
	lost  uint64 // groups that are not there
	why   Missing
}

// A slot is where an entry's key and value stand.
type slot struct{ key, elem memory.Address }

// sortedKeys is how many keys of a map are read to find those that come first.
const sortedKeys = 1 << 16

func (m *mapReader) finish() {
	most := min(len(m.slots), m.r.limits.Elements)
	if len(m.slots) > sortedKeys {
		m.slots = m.slots[:most]
	}
	keys := make([]Entry, 0, len(m.slots))
	at := make(map[*Value]memory.Address, len(m.slots))
	for _, s := range m.slots {
		key := m.slot(m.l.Key, m.l.IndirectKey, s.key)
		keys = append(keys, Entry{Key: key})
		at[key] = s.elem
	}
	slices.SortStableFunc(keys, func(a, b Entry) int { return compareKeys(a.Key, b.Key) })
	hidden := map[Missing]int{}
	for _, e := range keys[:min(most, len(keys))] {
		e.Value = m.slot(m.l.Elem, m.l.IndirectElem, at[e.Key])
		if why := e.Key.absence(); why != "" && e.Value.absence() != "" {
			hidden[why]++
			continue
		}
		m.v.Entries = append(m.v.Entries, e)
	}
	for _, why := range slices.Sorted(maps.Keys(hidden)) {
		m.v.Notes = append(m.v.Notes, strconv.Itoa(hidden[why])+" entries "+string(why))
	}
	m.v.Omitted = m.found - uint64(most)
	if m.lost > 0 && m.found < m.count { // else what is lost was empty
		m.v.Notes = append(m.v.Notes, strconv.FormatUint(m.count, 10)+" entries, some of them "+string(m.why))
	} else if m.found != m.count && m.v.Missing == "" {
		m.v.Notes = append(m.v.Notes, "torn: it says that it has "+strconv.FormatUint(m.count, 10)+" entries, "+strconv.FormatUint(m.found, 10)+" are there")
	}
}

// writing notes that somebody was writing to the map when it was captured.
func (m *mapReader) writing() {
	m.v.Notes = append(m.v.Notes, "torn: it was being written to")
}

func (m *mapReader) swiss(addr memory.Address) {
	h, ok := m.r.p.read(addr, gotypes.SwissMapSize)
	if !ok {
		m.r.missing(m.v, addr, gotypes.SwissMapSize)
		return
	}
	m.count = le.Uint64(h[gotypes.SwissUsed:])
	dir, length := memory.Address(le.Uint64(h[gotypes.SwissDir:])), le.Uint64(h[gotypes.SwissDirLen:])
	if h[gotypes.SwissWriting] != 0 {
		m.writing()
	}
	switch {
	case dir == 0:
		return
	case length == 0:
		m.groups(dir, 1)
		return
	case length > mostTables:
		m.v.Missing = Inconsistent
		return
	}
	last := memory.Address(0)
	for i := range length {
		word, ok := m.r.p.read(dir.Add(i*8), 8)
		if !ok {
			m.lose(dir.Add(i*8), 8)
			continue
		}
		if m.lost > mostLost {
			break
		}
		table := memory.Address(le.Uint64(word))
		if table == last { // it stands in several places of the directory
			continue
		}
		last = table
		t, ok := m.r.p.read(table, gotypes.SwissTableSize)
		if !ok {
			m.lose(table, gotypes.SwissTableSize)
			continue
		}
		mask := le.Uint64(t[gotypes.SwissLengthMask:])
		if mask > mostTables {
			m.v.Missing = Inconsistent
			return
		}
		m.groups(memory.Address(le.Uint64(t[gotypes.SwissGroups:])), mask+1)
	}
}

func (m *mapReader) lose(addr memory.Address, size uint64) {
	m.lost++
	m.why = m.r.p.why(memory.RangeOf(addr, size))
}

func (m *mapReader) groups(addr memory.Address, n uint64) {
	for i := range n {
		if m.seen > mostGroups || m.lost > mostLost {
			return
		}
		m.group(addr.Add(i * m.l.Group.Size))
	}
}

// group reads the live entries of a group or bucket.
func (m *mapReader) group(addr memory.Address) {
	m.seen++
	ctrl, ok := m.r.p.read(addr.Add(m.l.CtrlOff), m.l.Slots)
	if !ok {
		m.lose(addr.Add(m.l.CtrlOff), m.l.Slots)
		return
	}
	for i := range m.l.Slots {
		live := ctrl[i]&gotypes.SwissEmptyBit == 0
		if !m.l.Swiss {
			live = ctrl[i] >= gotypes.BucketsLeastTopHash
		}
		if !live {
			continue
		}
		m.found++
		if m.depth >= 0 && len(m.slots) < mostTables {
			m.slots = append(m.slots, slot{addr.Add(m.l.KeysOff + i*m.l.KeyStride), addr.Add(m.l.ElemsOff + i*m.l.ElemStride)})
		}
	}
}

func (m *mapReader) slot(t *gotypes.Type, indirect bool, addr memory.Address) *Value {
	if indirect {
		ptr, ok := m.r.p.read(addr, 8)
		if !ok {
			return m.r.missing(&Value{Type: t.String(), Addr: addr}, addr, 8)
		}
		addr = memory.Address(le.Uint64(ptr))
	}
	return m.r.value(t, addr, m.depth)
}

func (m *mapReader) buckets(addr memory.Address) {
	h, ok := m.r.p.read(addr, gotypes.BucketsSize)
	if !ok {
		m.r.missing(m.v, addr, gotypes.BucketsSize)
		return
	}
	m.count = le.Uint64(h[gotypes.BucketsCount:])
	flags, b := h[gotypes.BucketsFlags], h[gotypes.BucketsB]
	if flags&gotypes.BucketsWriting != 0 {
		m.writing()
	}
	if b > 32 {
		m.v.Missing = Inconsistent
		return
	}
	n := uint64(1) << b
	if now := memory.Address(le.Uint64(h[gotypes.BucketsNow:])); now != 0 {
		m.chains(now, n)
	}
	if old := memory.Address(le.Uint64(h[gotypes.BucketsOld:])); old != 0 {
		// What was not moved yet to the new buckets, which are twice as many.
		if flags&gotypes.BucketsSameSizeGrow == 0 {
			n /= 2
		}
		m.chains(old, n)
	}
}

func (m *mapReader) chains(addr memory.Address, n uint64) {
	for i := range n {
		bucket := addr.Add(i * m.l.Group.Size)
		for k := 0; bucket != 0 && k < mostChain && m.seen < mostGroups; k++ {
			m.group(bucket)
			next, ok := m.r.p.read(bucket.Add(m.l.Overflow), 8)
			if !ok {
				break
			}
			bucket = memory.Address(le.Uint64(next))
		}
		if m.lost > mostLost || m.seen > mostGroups {
			return
		}
	}
}

// compareKeys orders keys as package fmt does: numbers by value, texts by
// their bytes, the rest by what they look like.
func compareKeys(a, b *Value) int {
	for a.Shape == Interface && a.To != nil {
		a = a.To
	}
	for b.Shape == Interface && b.To != nil {
		b = b.To
	}
	if a.Shape != b.Shape || a.Type != b.Type {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Shape, b.Shape))
	}
	switch a.Shape {
	case Text:
		return cmp.Compare(a.Text, b.Text)
	case Literal:
		if x, err := strconv.ParseInt(a.Text, 10, 64); err == nil {
			if y, err := strconv.ParseInt(b.Text, 10, 64); err == nil {
				return cmp.Compare(x, y)
			}
		}
		if x, err := strconv.ParseFloat(a.Text, 64); err == nil {
			if y, err := strconv.ParseFloat(b.Text, 64); err == nil {
				return cmp.Compare(x, y)
			}
		}
		return cmp.Compare(a.Text, b.Text)
	}
	return cmp.Compare(a.Go(), b.Go())
}

// channel reads what is in a channel's buffer, oldest first.
func (r *reader) channel(v *Value, t *gotypes.Type, addr memory.Address, depth int) {
	v.Shape, v.Addr = Chan, addr
	if addr == 0 {
		v.Shape = Nil
		return
	}
	// Offsets in runtime.hchan; a timer stands in front of the element type
	// from Go 1.23 on.
	const count, length, buf, elemSize, closed, elemType, recvx, size = 0, 8, 16, 24, 28, 32, 16, 88
	h, ok := r.p.read(addr, size)
	if !ok {
		r.missing(v, addr, size)
		return
	}
	elem, err := t.Elem()
	if err != nil {
		v.Missing = BadType
		return
	}
	at := elemType
	if memory.Address(le.Uint64(h[at:])) != elem.Addr {
		at += 8
	}
	n, capacity, first := le.Uint64(h[count:]), le.Uint64(h[length:]), le.Uint64(h[at+recvx:])
	if memory.Address(le.Uint64(h[at:])) != elem.Addr || n > capacity || uint64(le.Uint16(h[elemSize:])) != elem.Size || first > capacity {
		v.Missing = Inconsistent
		return
	}
	v.Notes = append(v.Notes, strconv.FormatUint(n, 10)+" of "+strconv.FormatUint(capacity, 10))
	if le.Uint32(h[closed:]) != 0 {
		v.Notes = append(v.Notes, "closed")
	}
	if n > 0 && depth == 0 {
		v.Missing = TooMuch
		return
	}
	most := min(n, uint64(r.limits.Elements))
	ring := memory.Address(le.Uint64(h[buf:]))
	for i := range most {
		v.Elems = append(v.Elems, r.value(elem, ring.Add((first+i)%capacity*elem.Size), depth-1))
	}
	v.Omitted = n - most
}
