package value

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/inspect"
)

// mapping reads a map.
func (r *reader) mapping(v *Value, t *gotypes.Type, addr memory.Address, depth int) {
	v.Shape, v.Addr = Map, addr
	if addr == 0 {
		v.Shape = Nil
		return
	}
	// Of a map that was not followed the core need not have what its type
	// consists of.
	if _, ok := r.fetch(addr, memory.PtrSize); !ok {
		r.absent(v, addr, memory.PtrSize)
		return
	}
	m, err := r.mapType(t)
	if err != nil {
		v.Absent = inspect.BadType
		v.Notes = append(v.Notes, err.Error())
		return
	}
	if r.marking && !m.Key.Refers() && !m.Elem.Refers() {
		return
	}
	if (m.Key.Refers() || m.Elem.Refers()) && depth > 0 && r.again(v, pointed{addr: addr, typ: t}) {
		return
	}
	e := entries{r: r, v: v, at: pointed{addr: addr, typ: t}, follow: depth > 0, depth: depth - 1, flat: !m.Key.Refers()}
	e.key = keySlot(m)
	e.elem = func(addr memory.Address) *Value { return r.slot(m.Elem, m.IndirectElem, addr, depth-1) }
	e.read(func() { e.readMap(m, addr) })
	if v.Absent == "" && depth == 0 && e.count > 0 {
		r.cut(v, e.count, "entry", "entries")
		return
	}
	e.finish()
	switch {
	case e.lost != "" && e.found < e.count: // else what is lost was empty
		v.Notes = append(v.Notes, strconv.FormatUint(e.count, 10)+" entries, some of them "+string(e.lost))
	case e.found != e.count && v.Absent == "":
		v.Notes = append(v.Notes, torn+"its count is "+strconv.FormatUint(e.count, 10)+", and it has "+strconv.FormatUint(e.found, 10)+" entries")
	}
}

// mapType returns the layout of a map's type.
func (r *reader) mapType(t *gotypes.Type) (*goobject.MapType, error) {
	if m := r.maps[t]; m != nil {
		return m, nil
	}
	m, err := goobject.MapOf(t)
	if err == nil {
		if r.maps == nil {
			r.maps = map[*gotypes.Type]*goobject.MapType{}
		}
		r.maps[t] = m
	}
	return m, err
}

// keySlot returns a function that reads the keys of a map.
func keySlot(m *goobject.MapType) func(*reader, memory.Address, int) *Value {
	return func(r *reader, addr memory.Address, depth int) *Value {
		return r.slot(m.Key, m.IndirectKey, addr, depth)
	}
}

// slot reads a value that is in a slot of a map, or that a pointer there leads
// to.
func (r *reader) slot(t *gotypes.Type, indirect bool, addr memory.Address, depth int) *Value {
	if indirect {
		to, ok := r.pointer(addr)
		if !ok {
			return r.absent(r.blank(t.String(), addr), addr, memory.PtrSize)
		}
		addr = to
	}
	return r.value(t, addr, depth)
}

// Bounds of one map.
const (
	maxEntries   = 1 << 20 // whose places are kept
	maxLost      = 1 << 16 // parts that are not there, until the rest is given up
	sortedKeys   = 1 << 16 // keys that are read to find those that come first
	maxKeyValues = 1000    // of a key, that count for its order
	maxKeyParts  = 256     // groups, buckets and nodes of a map in a key that is read for its order
)

// orderValues is how many values are read to sort the entries of all maps of a tree, for
// each value that the tree may have.
const orderValues = 16

// partsLeft returns how many parts of one map or channel may be visited.
func (r *reader) partsLeft() int {
	if r.forOrder {
		return min(r.parts, maxKeyParts)
	}
	return r.parts
}

// An entries collects the entries of a map or a sync.Map, and shows those
// whose keys come first.
type entries struct {
	r      *reader
	v      *Value
	at     pointed
	follow bool // the limits allow to show entries at all
	depth  int  // pointers to follow from a key
	flat   bool // keys lead to no other values
	key    func(r *reader, addr memory.Address, depth int) *Value
	elem   func(memory.Address) *Value

	foundEntries
	texts  map[string]bool         // of all keys in paths: whether two have it
	facts  *mapFacts               // of a map that was read before
	hidden map[inspect.Missing]int // entries that are left out
}

// foundEntries are where the entries of a map are.
type foundEntries struct {
	count  uint64 // entries, by the map's own account
	found  uint64
	places []entryPlace
	all    []entryPlace    // also those that limits leave out
	lost   inspect.Missing // why a part of the map is not known, empty when all is
	gone   int             // parts that are not known
	notes  []string        // on the map
}

// An entryPlace is where the key and the value of an entry are.
type entryPlace struct{ key, elem memory.Address }

// read finds the entries by a function, once for all readings of a stream.
func (e *entries) read(find func()) {
	if e.facts = e.r.seen[e.at]; e.facts != nil {
		e.foundEntries = e.facts.foundEntries
	} else {
		find()
	}
	for _, note := range e.notes {
		if !slices.Contains(e.v.Notes, note) {
			e.v.Notes = append(e.v.Notes, note)
		}
	}
}

// readMap finds the entries of a map. When its header is not there or does not
// fit, the value is absent.
func (e *entries) readMap(m *goobject.MapType, addr memory.Address) {
	data, ok := e.r.fetch(addr, goobject.MapHeaderSize)
	if !ok {
		e.r.absent(e.v, addr, goobject.MapHeaderSize)
		return
	}
	if e.r.isTorn(addr, goobject.MapHeaderSize) {
		e.notes = append(e.notes, changed)
	}
	h, err := m.Header(data)
	e.count = h.Count
	if h.Writing {
		e.notes = append(e.notes, torn+"it was being written to")
	}
	if err != nil {
		e.v.Absent = inspect.Inconsistent
		return
	}
	if e.r.forOrder && h.Count > uint64(keyLimits.Elements) {
		e.v.Absent = inspect.TooMuch
		return
	}
	if e.follow {
		e.places = slices.Grow(e.places, int(min(h.Count, 1<<10)))
	}
	for piece := range m.Pieces(h, e.r.fetch, e.r.partsLeft()) {
		e.r.parts--
		if piece.Err != nil && errors.Is(piece.Err, goobject.ErrInconsistent) {
			e.v.Absent = inspect.Inconsistent
			return
		}
		if piece.Err != nil && !e.lose(piece.Range, piece.Err) {
			return
		}
		for key, elem := range m.Entries(piece) {
			e.add(key, elem)
		}
	}
}

// lose notes that a part of the map is not known. It returns false when so
// much is lost that the rest is given up.
func (e *entries) lose(part memory.Range, err error) bool {
	e.gone++
	switch {
	case errors.Is(err, goobject.ErrUnreadable):
		e.lost = e.r.p.Why(part)
	case errors.Is(err, goobject.ErrLimit):
		e.lost = inspect.TooMuch
	default:
		e.lost = inspect.Inconsistent
	}
	return e.gone < maxLost
}

func (e *entries) add(key, elem memory.Address) {
	e.found++
	if e.follow && len(e.places) < maxEntries {
		e.places = append(e.places, entryPlace{key, elem})
	}
}

// finish shows the entries, sorted by their keys. An elem of nil means that
// there is no entry after all.
func (e *entries) finish() {
	if e.r.forOrder && e.lost == inspect.TooMuch { // the entries that were found are any of them
		e.v.Absent = inspect.TooMuch
		return
	}
	if e.facts == nil {
		most := min(len(e.places), e.r.limits.Elements)
		e.all = e.places
		if len(e.places) > sortedKeys {
			e.places = e.places[:most]
		}
		texts := e.sort()
		e.places = e.places[:most]
		e.facts = &mapFacts{foundEntries: e.foundEntries, texts: texts}
	}
	next := e.reading()
	if e.r.streams(uint64(len(e.places))) {
		e.stream(next)
		return
	}
	for entry, ok := next(); ok; entry, ok = next() {
		e.v.Entries = append(e.v.Entries, entry)
		if entry.Value.streamed {
			e.stream(next)
			return
		}
	}
	e.v.Notes = append(e.v.Notes, e.hiddenNotes()...)
}

// reading returns a function that reads one entry after the other. It leaves out those of
// which neither the key nor the value is known: see hiddenNotes.
func (e *entries) reading() func() (Entry, bool) {
	e.v.Omitted = e.found - uint64(len(e.places))
	return func() (entry Entry, ok bool) {
		for len(e.places) > 0 {
			p := e.places[0]
			e.places = e.places[1:]
			unread := e.r.marking && e.flat
			entry = Entry{Key: nowhere, of: e, at: p}
			if !unread {
				entry.Key = e.readKey(p)
			}
			if entry.Value = e.elem(p.elem); entry.Value == nil {
				continue
			}
			if entry.Value.absence() == "" {
				return entry, true
			}
			if unread {
				entry.Key = e.readKey(p)
			}
			why := entry.Key.absence()
			if why == "" {
				return entry, true
			}
			if e.hidden == nil {
				e.hidden = map[inspect.Missing]int{}
			}
			e.hidden[why]++
		}
		return entry, false
	}
}

// hiddenNotes remarks how many entries are left out, and why.
func (e *entries) hiddenNotes() (notes []string) {
	if len(e.hidden) == 0 {
		return nil
	}
	for _, why := range slices.Sorted(maps.Keys(e.hidden)) {
		notes = append(notes, strconv.Itoa(e.hidden[why])+" entries "+string(why))
	}
	return notes
}

// sort sorts the entries by their keys, and reports whether these are names in JSON. It
// keeps no more of a key than its order needs.
func (e *entries) sort() (names bool) {
	type sortable struct {
		text  string
		place entryPlace
	}
	texts := make([]sortable, 0, len(e.places))
	scratch := e.scratch()
	names = true
	for _, p := range e.places {
		scratch.arena.used = 0
		key, ok := e.orderKey(scratch, p)
		if !ok {
			return false
		}
		if key.Shape != Text || key.Absent != "" || !e.textKeys() {
			e.sortValues(scratch)
			return false
		}
		texts = append(texts, sortable{key.Text, p})
		names = names && jsonName(key)
	}
	slices.SortFunc(texts, func(a, b sortable) int {
		return cmp.Or(strings.Compare(a.text, b.text), a.place.key.Compare(b.place.key))
	})
	for i := range texts {
		e.places[i] = texts[i].place
	}
	return names
}

// scratch returns the reader of keys that are not kept.
func (e *entries) scratch() *reader {
	if e.r.scratch == nil {
		e.r.scratch = newReader(e.r.p, e.r.limits)
		e.r.scratch.reuse, e.r.scratch.forOrder = true, true
	}
	return e.r.scratch
}

// sortKey reads at most so many values of a key for its order alone. It does not follow
// the key far: a key may lead to the whole tree that its map is in, as the children of a
// context do.
func (e *entries) sortKey(scratch *reader, p entryPlace, values int) *Value {
	clear(scratch.shown)
	scratch.left = values
	return e.key(scratch, p.key, min(e.depth, keyLimits.Depth))
}

// orderKey is sortKey within the bounds of the tree. It reports false if no more keys may
// be read: the entries stay in the order of the memory. A map in a key takes the values
// that its keys have from those of that key: without that, each level of maps in keys
// would multiply the work.
func (e *entries) orderKey(scratch *reader, p entryPlace) (key *Value, ok bool) {
	budget := &e.r.order
	if e.r.forOrder {
		budget = &e.r.left
	}
	if *budget <= 0 {
		return nil, false
	}
	values := min(*budget, maxKeyValues)
	key = e.sortKey(scratch, p, values)
	*budget -= values - max(scratch.left, 0)
	return key, true
}

// readKey reads the key of an entry, never as a stream.
func (e *entries) readKey(p entryPlace) *Value {
	enabled := e.r.enabled
	e.r.enabled = false
	defer func() { e.r.enabled = enabled }()
	return e.key(e.r, p.key, e.depth)
}

// textKeys reports whether all keys are of one type of texts.
func (e *entries) textKeys() bool {
	if e.at.typ.Kind != gotypes.Map {
		return false
	}
	key, err := e.at.typ.Key()
	return err == nil && key.Kind == gotypes.String
}

// sortValues sorts the entries of any keys.
func (e *entries) sortValues(scratch *reader) {
	type sortable struct {
		key   *Value
		place entryPlace
	}
	scratch.reuse = false // keys are kept
	defer func() { scratch.reuse = true }()
	keys := make([]sortable, len(e.places))
	for i, p := range e.places {
		key, ok := e.orderKey(scratch, p)
		if !ok {
			return
		}
		keys[i] = sortable{key, p}
	}
	slices.SortStableFunc(keys, func(a, b sortable) int { return compareKeys(a.key, b.key) })
	for i := range keys {
		e.places[i] = keys[i].place
	}
}

// compareKeys orders keys as package fmt does: numbers by value, texts by
// their bytes, the rest by what they look like.
func compareKeys(a, b *Value) int {
	for a.Shape == Interface && a.Elem != nil {
		a = a.Elem
	}
	for b.Shape == Interface && b.Elem != nil {
		b = b.Elem
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

// channel reads what is in a channel's buffer, oldest first, and what
// goroutines wait to send.
func (r *reader) channel(v *Value, t *gotypes.Type, addr memory.Address, depth int) {
	v.Shape, v.Addr = Chan, addr
	if addr == 0 {
		v.Shape = Nil
		return
	}
	layout := goobject.ChanLayoutOf(r.p.Version())
	data, ok := r.fetch(addr, layout.Size)
	if !ok {
		r.absent(v, addr, layout.Size)
		return
	}
	elem, err := t.Elem()
	if err != nil {
		v.Absent = inspect.BadType
		return
	}
	c, err := layout.Chan(data, elem)
	if err != nil {
		v.Absent = inspect.Inconsistent
		return
	}
	v.State = append(v.State, strconv.FormatUint(c.Len, 10)+" of "+strconv.FormatUint(c.Cap, 10))
	if c.Closed {
		v.State = append(v.State, "closed")
	}
	senders := r.waiters(v, &layout, addr, c.Senders, "sender")
	r.waiters(v, &layout, addr, c.Receivers, "receiver")
	if c.Len+uint64(len(senders)) > 0 && depth == 0 {
		r.cut(v, c.Len+uint64(len(senders)), "element", "elements")
		return
	}
	most := min(c.Len, uint64(r.limits.Elements))
	for i := range most {
		v.Elems = append(v.Elems, r.value(elem, c.Elem(i), depth-1))
	}
	v.Omitted = c.Len - most
	if len(senders) == 0 {
		return
	}
	shown := min(len(senders), r.limits.Elements)
	v.Senders = &Senders{Omitted: uint64(len(senders) - shown)}
	for _, w := range senders[:shown] {
		v.Senders.Values = append(v.Senders.Values, r.value(elem, w.Elem, depth-1))
	}
}

// waiters returns the goroutines that wait at one end of a channel, as far as
// they are known, and notes how many there are.
func (r *reader) waiters(v *Value, layout *goobject.ChanLayout, addr, first memory.Address, what string) (list []goobject.Waiter) {
	var lost inspect.Missing
	for w, err := range layout.Waiters(addr, first, r.fetch, r.partsLeft()) {
		r.parts--
		switch {
		case err == nil:
			list = append(list, w)
		case errors.Is(err, goobject.ErrUnreadable):
			lost = r.p.Why(w.Range)
		case errors.Is(err, goobject.ErrLimit):
			lost = inspect.TooMuch
		default:
			lost = inspect.Inconsistent
		}
	}
	verb := "s wait"
	if len(list) == 1 {
		verb = " waits"
	}
	switch {
	case lost != "" && len(list) == 0:
		v.Notes = append(v.Notes, what+"s wait: "+string(lost))
	case lost != "":
		v.Notes = append(v.Notes, strconv.Itoa(len(list))+" "+what+verb+", and more: "+string(lost))
	case len(list) > 0:
		v.State = append(v.State, strconv.Itoa(len(list))+" "+what+verb)
	}
	return list
}
