package value

import (
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Place is where a value is in a program, and of what type it is. Its methods lead
// to the values below it, and read no more than they need for that.
type Place struct {
	Addr memory.Address
	Type *gotypes.Type // nil if it is not known
	Form Form
	Len  uint64 // of a Row and of Chars
}

// A Form is how the values of a place are laid out.
type Form uint8

// The forms of places.
const (
	One   Form = iota // a value of Type
	Row               // Len values of Type, one after the other; bytes if it is not known
	Chars             // Len bytes of a string
)

// Errors about places.
var (
	ErrNil  = errors.New("is nil")
	ErrKind = errors.New("wrong kind of value")
)

// An AbsentError reports that the core does not have what a step needs.
type AbsentError struct{ Why inspect.Missing }

func (e *AbsentError) Error() string { return string(e.Why) }

// PlaceOf returns the place of a region.
func PlaceOf(p *inspect.Program, r *note.Region) (Place, error) {
	pl := Place{Addr: memory.Address(r.Addr), Form: Row, Len: r.Size}
	switch {
	case r.Status&note.Gone != 0:
		return pl, &AbsentError{collected}
	case r.Status&note.Unreadable != 0:
		return pl, &AbsentError{inspect.Unreadable}
	}
	if r.Kind == anchor.SlotString {
		pl.Form = Chars
		return pl, nil
	}
	t, err := regionType(p, r)
	switch {
	case err != nil:
		return pl, nil //nolint:nilerr // its bytes are known
	case r.Kind == anchor.SlotSlice && t.Size > 0:
		pl.Type, pl.Len = t, r.Size/t.Size
		return pl, nil
	case r.Size < t.Size && t.Kind == gotypes.Array && t.Len > 0: // the first bytes of an area
		elem, err := t.Elem()
		if err != nil || elem.Size == 0 {
			return pl, nil //nolint:nilerr // its bytes are known
		}
		pl.Type, pl.Len = elem, r.Size/elem.Size
		return pl, nil
	}
	return Place{Addr: pl.Addr, Type: t}, nil
}

// Read returns the value at a place.
func (pl Place) Read(p *inspect.Program, limits Limits) *Value {
	return newReader(p, limits).root(pl)
}

// TypeName returns the type of the value, as reflect writes it.
func (pl Place) TypeName() string {
	switch {
	case pl.Form == Chars:
		return "string"
	case pl.Type == nil:
		return "[]uint8"
	case pl.Form == Row:
		return "[]" + pl.Type.String()
	}
	return pl.Type.String()
}

// bytes returns the bytes of a value; they are valid until the next reading.
func (pl Place) bytes(p *inspect.Program) ([]byte, error) {
	b, ok := p.View(pl.Addr, pl.Type.Size)
	if !ok {
		return nil, &AbsentError{p.Why(memory.RangeOf(pl.Addr, max(pl.Type.Size, 1)))}
	}
	return b, nil
}

// Leads reports whether the value is one that [Place.Follow] follows.
func (pl Place) Leads() bool {
	if pl.Form != One {
		return false
	}
	_, typed := goobject.TypedPointerOf(pl.Type)
	return typed || pl.Type.Kind == gotypes.Pointer || pl.Type.Kind == gotypes.Interface || isAtomicValue(pl.Type)
}

// isAtomicValue reports whether t is atomic.Value, whose one field is an interface.
func isAtomicValue(t *gotypes.Type) bool {
	return t.PkgPath == "sync/atomic" && t.Name() == "Value" && t.Kind == gotypes.Struct && len(t.Fields) == 1
}

// Follow returns the value that a pointer, an interface, an atomic or a weak pointer
// leads to. The error wraps [ErrNil] or is an [AbsentError].
func (pl Place) Follow(p *inspect.Program) (Place, error) {
	if !pl.Leads() {
		return pl, fmt.Errorf("%w: %s is not a pointer", ErrKind, pl.TypeName())
	}
	if ptr, ok := goobject.TypedPointerOf(pl.Type); ok {
		return typedTarget(p, ptr, pl.Addr)
	}
	if isAtomicValue(pl.Type) {
		f := pl.Type.Fields[0]
		return Place{Addr: pl.Addr.Add(f.Offset), Type: f.Type}.Follow(p)
	}
	b, err := pl.bytes(p)
	if err != nil {
		return pl, err
	}
	word := goobject.Pointer(b)
	if word == 0 {
		return pl, ErrNil
	}
	if pl.Type.Kind == gotypes.Pointer {
		elem, err := pl.Type.Elem()
		if err != nil {
			return pl, &AbsentError{inspect.BadType}
		}
		return Place{Addr: word, Type: elem}, nil
	}
	dynamic, err := goobject.DynamicType(p.Types, pl.Type, word)
	switch {
	case err != nil:
		return pl, &AbsentError{inspect.BadType}
	case dynamic.Direct:
		return Place{Addr: pl.Addr.Add(goobject.InterfaceData), Type: dynamic}, nil
	}
	return Place{Addr: goobject.Pointer(b[goobject.InterfaceData:]), Type: dynamic}, nil
}

func typedTarget(p *inspect.Program, ptr goobject.TypedPointer, addr memory.Address) (Place, error) {
	at, words := addr.Add(ptr.Offset), 1
	if ptr.Weak {
		words = 2
	}
	for range words {
		var b [memory.PtrSize]byte
		if !p.Read(b[:], at) {
			return Place{}, &AbsentError{p.Why(memory.RangeOf(at, memory.PtrSize))}
		}
		if at = goobject.Pointer(b[:]); at == 0 {
			return Place{}, ErrNil
		}
	}
	return Place{Addr: at, Type: ptr.Elem}, nil
}

// maxFollowed is how many pointers and interfaces in a row are followed.
const maxFollowed = 32

// Receiver returns the receiver of a method value, if its type is known.
func (pl Place) Receiver(p *inspect.Program) (Place, bool) {
	if pl.Form != One || pl.Type.Kind != gotypes.Func {
		return pl, false
	}
	b, err := pl.bytes(p)
	if err != nil || goobject.Pointer(b) == 0 {
		return pl, false
	}
	closure := goobject.Pointer(b)
	var entry [memory.PtrSize]byte
	if !p.Read(entry[:], closure) {
		return pl, false
	}
	receiver := p.Receiver(goobject.FuncEntry(entry[:]))
	if receiver == nil {
		return pl, false
	}
	return Place{Addr: closure.Add(receiver.Offset), Type: receiver.Type}, true
}

// Through follows pointers, interfaces and method values, whose receivers it follows, to
// what is none of these.
func (pl Place) Through(p *inspect.Program) (Place, error) {
	for range maxFollowed {
		if receiver, ok := pl.Receiver(p); ok {
			pl = receiver
			continue
		}
		if !pl.Leads() {
			return pl, nil
		}
		next, err := pl.Follow(p)
		if err != nil {
			return pl, err
		}
		pl = next
	}
	return pl, &AbsentError{inspect.TooMuch}
}

// Field returns a field of a struct, or one that is promoted from embedded structs,
// as Go selects it. The error wraps ErrKind if it does not exist.
func (pl Place) Field(p *inspect.Program, name string) (Place, error) {
	if pl.Form != One || pl.Type.Kind != gotypes.Struct {
		return pl, fmt.Errorf("%w: %s has no fields", ErrKind, pl.TypeName())
	}
	if f, ok := pl.Type.Field(name); ok {
		return Place{Addr: pl.Addr.Add(f.Offset), Type: f.Type}, nil
	}
	way := promoted(pl.Type, name)
	if way == nil {
		return pl, fmt.Errorf("%w: %s has no field %s", ErrKind, pl.TypeName(), name)
	}
	for i, f := range way {
		pl = Place{Addr: pl.Addr.Add(f.Offset), Type: f.Type}
		if f.Type.Kind == gotypes.Pointer && i < len(way)-1 {
			var err error
			if pl, err = pl.Follow(p); err != nil {
				return pl, err
			}
		}
	}
	return pl, nil
}

// promoted returns the fields that lead to the field with a name in the embedded
// structs of a struct, the shallowest one; nil if no struct has it.
func promoted(t *gotypes.Type, name string) []gotypes.Field {
	type candidate struct {
		t   *gotypes.Type
		way []gotypes.Field
	}
	seen := map[*gotypes.Type]bool{}
	for level := []candidate{{t: t}}; len(level) > 0; {
		var next []candidate
		for _, c := range level {
			if f, ok := c.t.Field(name); ok && len(c.way) > 0 {
				return append(c.way, f)
			}
			if seen[c.t] {
				continue
			}
			seen[c.t] = true
			for _, f := range c.t.Fields {
				if inner := embedded(f); inner != nil {
					next = append(next, candidate{inner, append(c.way[:len(c.way):len(c.way)], f)})
				}
			}
		}
		level = next
	}
	return nil
}

// embedded returns the struct that a field embeds, nil if it embeds none.
func embedded(f gotypes.Field) *gotypes.Type {
	t := f.Type
	if f.Embedded && t.Kind == gotypes.Pointer {
		t, _ = t.Elem() // nil if it is not known
	}
	if !f.Embedded || t == nil || t.Kind != gotypes.Struct {
		return nil
	}
	return t
}

// A Sequence is an array, a slice, a string or the buffer of a channel.
type Sequence struct {
	Len, Cap uint64
	elem     *gotypes.Type // nil: bytes
	text     bool
	addr     memory.Address
	ring     *goobject.Chan // of a channel
}

// Sequence returns the elements at a place. The error wraps ErrKind if it has none.
func (pl Place) Sequence(p *inspect.Program) (Sequence, error) {
	if pl.Form != One {
		return Sequence{Len: pl.Len, Cap: pl.Len, elem: pl.Type, text: pl.Form == Chars, addr: pl.Addr}, nil
	}
	switch pl.Type.Kind {
	case gotypes.Array, gotypes.Slice, gotypes.String, gotypes.Chan:
	default:
		return Sequence{}, fmt.Errorf("%w: %s has no elements", ErrKind, pl.TypeName())
	}
	var elem *gotypes.Type
	if pl.Type.Kind != gotypes.String {
		var err error
		if elem, err = pl.Type.Elem(); err != nil {
			return Sequence{}, &AbsentError{inspect.BadType}
		}
	}
	if pl.Type.Kind == gotypes.Array {
		return Sequence{Len: pl.Type.Len, Cap: pl.Type.Len, elem: elem, addr: pl.Addr}, nil
	}
	b, err := pl.bytes(p)
	if err != nil {
		return Sequence{}, err
	}
	switch pl.Type.Kind {
	case gotypes.String:
		data, n, err := goobject.String(b)
		return Sequence{Len: n, Cap: n, text: true, addr: data}, inconsistent(err)
	case gotypes.Chan:
		return chanSequence(p, goobject.Pointer(b), elem)
	}
	s, err := goobject.Slice(b, elem.Size)
	return Sequence{Len: s.Len, Cap: s.Cap, elem: elem, addr: s.Data}, inconsistent(err)
}

// inconsistent returns an error for a value that contradicts itself.
func inconsistent(err error) error {
	if err != nil {
		return &AbsentError{inspect.Inconsistent}
	}
	return nil
}

func chanSequence(p *inspect.Program, addr memory.Address, elem *gotypes.Type) (Sequence, error) {
	if addr == 0 {
		return Sequence{elem: elem}, nil
	}
	layout := goobject.ChanLayoutOf(p.Version())
	b, ok := p.View(addr, layout.Size)
	if !ok {
		return Sequence{}, &AbsentError{p.Why(memory.RangeOf(addr, layout.Size))}
	}
	c, err := layout.Chan(b, elem)
	return Sequence{Len: c.Len, Cap: c.Cap, elem: elem, ring: &c}, inconsistent(err)
}

// Elem returns the element with an index below Len.
func (l *Sequence) Elem(i uint64) Place {
	switch {
	case l.ring != nil:
		return Place{Addr: l.ring.Elem(i), Type: l.elem}
	case l.elem == nil && l.text:
		return Place{Addr: l.addr.Add(i), Form: Chars, Len: 1}
	case l.elem == nil:
		return Place{Addr: l.addr.Add(i), Form: Row, Len: 1}
	}
	return Place{Addr: l.addr.Add(i * l.elem.Size), Type: l.elem}
}

// Slice returns the elements from low to high, which is at most Len. The elements of
// a channel's buffer do not follow each other: ok is false.
func (l *Sequence) Slice(low, high uint64) (pl Place, ok bool) {
	pl = Place{Addr: l.addr, Type: l.elem, Form: Row, Len: high - low}
	if l.text {
		pl.Form = Chars
	}
	size := uint64(1)
	if l.elem != nil {
		size = l.elem.Size
	}
	pl.Addr = l.addr.Add(low * size)
	return pl, l.ring == nil
}

// A Table is the entries of a map or a sync.Map.
type Table struct {
	Count   uint64          // by the map's own account, of a sync.Map those that were found
	Lost    inspect.Missing // why some of them are not known, empty if all are
	entries entries
	elem    func(memory.Address) (Place, error)
}

// keyLimits bound what a Table reads of a key.
var keyLimits = Limits{Depth: 2, Elements: 100, Bytes: 4 << 10, Values: maxKeyValues}

// IsMap reports whether [Place.Table] finds entries at a place.
func (pl Place) IsMap() bool {
	if pl.Form != One {
		return false
	}
	_, err := goobject.SyncMapOf(pl.Type)
	return err == nil || pl.Type.Kind == gotypes.Map
}

// Table finds the entries at a place. The error wraps ErrKind if it is not a map.
func (pl Place) Table(p *inspect.Program) (*Table, error) {
	if !pl.IsMap() {
		return nil, fmt.Errorf("%w: %s is not a map", ErrKind, pl.TypeName())
	}
	r := newReader(p, keyLimits)
	r.order = orderValues * DefaultValues
	t := &Table{entries: entries{r: r, v: &Value{}, at: pointed{typ: pl.Type}, follow: true, depth: keyLimits.Depth}}
	e := &t.entries
	if pl.Type.Kind == gotypes.Map {
		b, err := pl.bytes(p)
		if err != nil {
			return nil, err
		}
		addr := goobject.Pointer(b)
		m, err := goobject.MapOf(pl.Type)
		if err != nil {
			return nil, &AbsentError{inspect.BadType}
		}
		e.key = keySlot(m)
		t.elem = r.slotPlace(m.Elem, m.IndirectElem)
		if addr != 0 {
			e.readMap(m, addr)
		}
		t.Count = e.count
	} else {
		m, err := goobject.SyncMapOf(pl.Type)
		if err != nil {
			return nil, &AbsentError{inspect.BadType}
		}
		e.key = (*reader).any
		if t.elem = r.slotPlace(emptyInterface, false); m.Trie != nil {
			e.readTrie(m, pl.Addr)
		} else {
			t.elem = r.pairElem
			e.readPair(m, pl.Addr)
		}
		t.Count = e.found
	}
	t.Lost = e.lost
	if e.v.Absent != "" {
		return nil, &AbsentError{e.v.Absent}
	}
	return t, nil
}

// slotPlace returns a function that finds the value in a slot of a map.
func (r *reader) slotPlace(t *gotypes.Type, indirect bool) func(memory.Address) (Place, error) {
	return func(addr memory.Address) (Place, error) {
		if indirect {
			to, ok := r.pointer(addr)
			if !ok {
				return Place{}, &AbsentError{r.p.Why(memory.RangeOf(addr, memory.PtrSize))}
			}
			addr = to
		}
		return Place{Addr: addr, Type: t}, nil
	}
}

// pairElem finds the value of an entry of a sync.Map of two maps; ErrNil if the key
// was deleted.
func (r *reader) pairElem(addr memory.Address) (Place, error) {
	for _, offset := range []uint64{0, goobject.EntryValue} {
		addr = addr.Add(offset)
		to, ok := r.pointer(addr)
		switch {
		case !ok:
			return Place{}, &AbsentError{r.p.Why(memory.RangeOf(addr, memory.PtrSize))}
		case to == 0:
			return Place{}, ErrNil
		}
		addr = to
	}
	return Place{Addr: addr, Type: emptyInterface}, nil
}

// Len returns how many entries were found.
func (t *Table) Len() int { return len(t.entries.places) }

// Sort numbers the entries in the order of their keys.
func (t *Table) Sort() { t.entries.sort() }

// Key returns the key of an entry. It is valid until the next call.
func (t *Table) Key(i int) *Value {
	return t.entries.pathKey(t.entries.scratch(), t.entries.places[i])
}

// KeyText returns the key of an entry as a path has it: see [Entry.KeyText].
func (t *Table) KeyText(i int) string {
	t.entries.all = t.entries.places
	return t.entries.keyText(t.Key(i))
}

// ElemAt returns the value of an entry, ErrNil if the key was deleted from a sync.Map.
func (t *Table) ElemAt(i int) (Place, error) { return t.elem(t.entries.places[i].elem) }
