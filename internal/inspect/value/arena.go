package value

import "github.com/meminspect/meminspect/internal/core/memory"

// An arena makes values. Those of an entry of a stream are used again for the next
// entry: a map of a million structs has ten million values.
type arena struct {
	slabs []*[slab]Value
	used  int
}

// slab is how many values are made at once, if they are used again.
const slab = 64

// next returns a zero value.
func (a *arena) next() *Value {
	if a.used == len(a.slabs)*slab {
		a.slabs = append(a.slabs, new([slab]Value))
	}
	v := &a.slabs[a.used/slab][a.used%slab]
	a.used++
	*v = Value{Fields: v.Fields[:0], Elems: v.Elems[:0], Entries: v.Entries[:0]}
	return v
}

// blank returns a value of which nothing is known yet. It is valid until the entry that
// it is in was written, if values are used again.
func (r *reader) blank(typ string, addr memory.Address) *Value {
	v := r.room()
	v.Type, v.Addr = typ, addr
	return v
}

func (r *reader) room() *Value {
	if r.reuse {
		return r.arena.next()
	}
	return &Value{}
}
