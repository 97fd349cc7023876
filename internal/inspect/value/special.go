package value

import (
	"fmt"
	"strconv"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// special reads the types of the standard library whose fields show little of
// what they mean. It reports false for all others, and when what it finds is
// not what it knows.
func (r *reader) special(v *Value, t *gotypes.Type, addr memory.Address, depth int) bool {
	if !t.Named || t.PkgPath == "" {
		return false
	}
	if t.Kind != gotypes.Struct {
		if isErrno(t) {
			r.errnoState(v, t, addr)
		}
		return false
	}
	name := t.Name()
	switch t.PkgPath {
	case "errors", "fmt", "io/fs", "os", "os/exec", "strconv", "net", "internal/poll":
		r.errorState(v, t, addr)
	case "time":
		switch name {
		case "Time":
			return r.time(v, t, addr)
		case "Timer", "Ticker":
			r.timer(v, t, addr)
		}
	case "math/big":
		switch name {
		case "Int":
			return r.bigInt(v, t, addr)
		case "Rat":
			return r.bigRat(v, t, addr)
		case "Float":
			return r.bigFloat(v, t, addr)
		}
	case "net/netip":
		return r.netip(v, t, addr)
	case "net/url":
		r.url(v, t, addr)
		r.errorState(v, t, addr)
	case "context":
		r.context(v, t, addr)
		r.errorState(v, t, addr)
	case "sync":
		if name == "Map" {
			return r.syncMap(v, t, addr, depth)
		}
		if name == "Pool" {
			return r.pool(v, t, addr, depth)
		}
		return r.syncState(v, t, addr)
	case "sync/atomic":
		if ptr, ok := goobject.TypedPointerOf(t); ok {
			return r.typedPointer(v, ptr, addr, depth)
		}
		if f, ok := t.Field("v"); ok && (f.Type.PtrBytes == 0 || name == "Value") {
			r.decode(v, f.Type, addr.Add(f.Offset), depth)
			if name == "Bool" && v.Shape == Literal {
				v.Text = strconv.FormatBool(v.Text != "0")
			}
			return true
		}
	case "weak":
		ptr, ok := goobject.TypedPointerOf(t)
		return ok && r.typedPointer(v, ptr, addr, depth)
	}
	return false
}

// typedPointer reads the value that an atomic or a weak pointer points at.
func (r *reader) typedPointer(v *Value, ptr goobject.TypedPointer, addr memory.Address, depth int) bool {
	at, words := addr.Add(ptr.Offset), 1
	if ptr.Weak {
		words = 2
	}
	for range words {
		to, ok := r.pointer(at)
		if !ok {
			r.absent(v, at, memory.PtrSize)
			return true
		}
		if to == 0 {
			v.Shape = Nil
			return true
		}
		at = to
	}
	r.target(v, ptr.Elem, at, depth)
	return true
}

// Bits of time.Time's wall, see the comment in package time.
const (
	timeMonotonic  = 1 << 63
	timeNsecMask   = 1<<30 - 1
	timeNsecShift  = 30
	wallToInternal = (1884*365 + 1884/4 - 1884/100 + 1884/400) * 86400
	unixToInternal = (1969*365 + 1969/4 - 1969/100 + 1969/400) * 86400
)

func (r *reader) time(v *Value, t *gotypes.Type, addr memory.Address) bool {
	wallField, ok1 := t.Field("wall")
	extField, ok2 := t.Field("ext")
	locField, ok3 := t.Field("loc")
	if !ok1 || !ok2 || !ok3 || t.Size != 24 {
		return false
	}
	b, ok := r.fetch(addr, t.Size)
	if !ok {
		r.absent(v, addr, t.Size)
		return true
	}
	wall, ext := le.Uint64(b[wallField.Offset:]), int64(le.Uint64(b[extField.Offset:]))
	sec := ext
	if wall&timeMonotonic != 0 {
		sec = wallToInternal + int64(wall<<1>>(timeNsecShift+1))
	}
	when := time.Unix(sec-unixToInternal, int64(wall&timeNsecMask)).UTC()
	zone := "time.UTC"
	if loc := memory.Address(le.Uint64(b[locField.Offset:])); loc != 0 {
		name, offset, ok := r.zone(locField.Type, loc, when.Unix())
		switch {
		case !ok:
			v.Notes = append(v.Notes, "its time zone is not in the core")
		case offset != 0 || name != "UTC":
			when = when.In(time.FixedZone(name, offset))
			zone = fmt.Sprintf("time.FixedZone(%q, %d)", name, offset)
		}
	}
	v.Shape = Literal
	v.Text = fmt.Sprintf("time.Date(%d, time.%v, %d, %d, %d, %d, %d, %s)", when.Year(), when.Month(), when.Day(), when.Hour(), when.Minute(), when.Second(), when.Nanosecond(), zone)
	if when.IsZero() {
		v.Text = "time.Time{}"
	}
	v.JSON = when.Format(time.RFC3339Nano)
	return true
}

// zone finds the name and offset of a time.Location at a moment, as far as its
// table of transitions has. It reads few of the transitions: there may be as many times
// as values in a tree.
func (r *reader) zone(ptr *gotypes.Type, addr memory.Address, unix int64) (name string, offset int, ok bool) {
	t, err := ptr.Elem()
	if err != nil {
		return "", 0, false
	}
	zones, ok1 := r.list(t, addr, "zone")
	changes, ok2 := r.list(t, addr, "tx")
	switch {
	case !ok1 || !ok2:
		return "", 0, false
	case zones.Len == 0: // an untouched Local, or UTC
		return "UTC", 0, true
	}
	// The last change that is not after the moment, by a binary search.
	first, end := uint64(0), changes.Len
	for first < end {
		middle := first + (end-first)/2
		change := changes.Elem(middle)
		when, _, ok := r.word(change.Type, change.Addr, "when")
		switch {
		case !ok:
			return "", 0, false
		case int64(when) > unix:
			end = middle
		default:
			first = middle + 1
		}
	}
	index := uint64(0)
	if first > 0 {
		change := changes.Elem(first - 1)
		if index, _, ok = r.word(change.Type, change.Addr, "index"); !ok {
			return "", 0, false
		}
	}
	if index >= zones.Len {
		return "", 0, false
	}
	zone := zones.Elem(index)
	name, ok1 = r.part(zone.Type, zone.Addr, "name")
	seconds, _, ok2 := r.word(zone.Type, zone.Addr, "offset")
	return name, int(seconds), ok1 && ok2
}

// list returns the elements of the slice in a field.
func (r *reader) list(t *gotypes.Type, addr memory.Address, field string) (Sequence, bool) {
	t, addr, ok := fieldAt(t, addr, field)
	if !ok || t.Kind != gotypes.Slice {
		return Sequence{}, false
	}
	l, err := Place{Addr: addr, Type: t}.Sequence(r.p)
	return l, err == nil
}

// there reports whether a field exists and its value is known.
func (v *Value) there() bool { return v != nil && v.Absent == "" }

// field returns a field of a struct, nil when there is none.
func (v *Value) field(name string) *Value {
	for _, f := range v.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}
