package describe

import (
	"encoding/binary"
	"reflect"
	"strings"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// StatusOf returns the status of a region in a core that the program writes of
// itself, as far as it follows from the region's kind. That core has all of the
// region's own bytes and follows no pointers, so values add what LeadsOf
// returns.
func StatusOf(r *registry.Region) note.Status {
	switch {
	case r.Of != nil: // a part that exclusions leave of a region
		return StatusOf(r.Of) | note.Redacted
	case !plain(r) && r.Type() == nil:
		return note.Untyped
	}
	return note.Complete
}

// plain reports whether a region has bytes, which lead nowhere.
func plain(r *registry.Region) bool {
	return r.Kind == anchor.SlotString || r.Kind == anchor.SlotForeign
}

// Leads are the words in values of a type that lead to other memory, unless
// they are zero: pointers, and the lengths of strings and slices.
type Leads struct {
	size   uint64
	words  []leadingWord
	arrays []leadingArray
	all    note.Status
}

type leadingWord struct {
	off uint64
	why note.Status // why the memory is missing
}

// A leadingArray is an array inside a value.
type leadingArray struct {
	off, n uint64
	elem   *Leads
}

// LeadsOf returns the leading words of the values of a region, or of the one
// that it is a part of. It returns nil if there are none.
func LeadsOf(r *registry.Region) *Leads {
	if r.Of != nil {
		r = r.Of
	}
	if t := r.Type(); t != nil && !plain(r) {
		return leadsOf(t)
	}
	return nil
}

// leadsOf is LeadsOf for a type.
func leadsOf(t reflect.Type) *Leads {
	l := &Leads{size: uint64(t.Size())}
	l.add(t, 0)
	if l.all == 0 {
		return nil
	}
	return l
}

// add adds the leading words of a value of type t at offset off.
func (l *Leads) add(t reflect.Type, off uint64) {
	switch t.Kind() {
	case reflect.Struct:
		if typedPointer(t) {
			l.addWord(off, note.Depth)
			return
		}
		for i := range t.NumField() {
			f := t.Field(i)
			l.add(f.Type, off+uint64(f.Offset))
		}
	case reflect.Array:
		if elem := leadsOf(t.Elem()); elem != nil && t.Len() > 0 {
			l.arrays = append(l.arrays, leadingArray{off, uint64(t.Len()), elem})
			l.all |= elem.all
		}
	case reflect.Pointer:
		if t.Elem().Size() > 0 {
			l.addWord(off, note.Depth)
		}
	case reflect.Slice:
		if t.Elem().Size() > 0 {
			l.addWord(off+wordSize, note.Depth) // the length
		}
	case reflect.String, reflect.Interface:
		l.addWord(off+wordSize, note.Depth) // the length, or the value
	case reflect.Map, reflect.Chan, reflect.Func:
		l.addWord(off, note.Depth)
	case reflect.UnsafePointer:
		l.addWord(off, note.Untyped)
	}
}

const wordSize = 8 // of the machines that have cores

func (l *Leads) addWord(off uint64, why note.Status) {
	l.words = append(l.words, leadingWord{off, why})
	l.all |= why
}

// typedPointer reports whether t is an atomic.Pointer or a weak.Pointer, whose
// one word leads to a value of known type.
func typedPointer(t reflect.Type) bool {
	return (t.PkgPath() == "sync/atomic" || t.PkgPath() == "weak") && strings.HasPrefix(t.Name(), "Pointer[")
}

// ByType returns the status of values that are not known yet: any word may lead
// to other memory.
func (l *Leads) ByType() note.Status {
	if l == nil {
		return note.Complete
	}
	return l.all
}

// In returns the status of the values in region by those of their words that
// are in b, which is the memory at from. Words of marks are not in the core.
func (l *Leads) In(region elfcore.Range, b []byte, from uint64) note.Status {
	if l == nil || from >= region.End {
		return note.Complete
	}
	b = b[:min(uint64(len(b)), region.End-from)]
	return l.in(region.Start, (region.Len()+l.size-1)/l.size, b, from)
}

// in is In for n values.
func (l *Leads) in(addr, n uint64, b []byte, from uint64) (found note.Status) {
	first, end := uint64(0), from+uint64(len(b))
	if from > addr {
		first = (from - addr) / l.size
	}
	for i := first; i < n && found != l.all; i++ {
		at := addr + i*l.size
		if at >= end {
			break
		}
		for _, w := range l.words {
			if found&w.why == 0 && leads(b, at+w.off-from) {
				found |= w.why
			}
		}
		for _, a := range l.arrays {
			found |= a.elem.in(at+a.off, a.n, b, from)
		}
	}
	return found
}

// leads reports whether the word at off, which is modulo 2^64, is in b and leads
// somewhere.
func leads(b []byte, off uint64) bool {
	if off >= uint64(len(b)) || uint64(len(b))-off < wordSize {
		return false
	}
	word := binary.LittleEndian.Uint64(b[off:])
	return word != 0 && word != marks
}

// marks is a word of marks.
const marks = elfcore.MarkByte * 0x0101010101010101
