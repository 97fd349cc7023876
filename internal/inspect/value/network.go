package value

import (
	"encoding/binary"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// maxText bounds the parts of a value that are put together as one text.
const maxText = 8 << 10

// netip reads the types of package net/netip. The family and the zone of an address
// are in an object that it points at: without that object the fields are shown.
func (r *reader) netip(v *Value, t *gotypes.Type, addr memory.Address) bool {
	switch t.Name() {
	case "Addr":
		a, ok := r.netipAddr(t, addr)
		return ok && v.parsed(a.IsValid(), "netip.MustParseAddr", a)
	case "AddrPort":
		a, ok1 := r.netipAddrOf(t, addr)
		port, _, ok2 := r.word(t, addr, "port")
		return ok1 && ok2 && (a.IsValid() || port == 0) && v.parsed(a.IsValid(), "netip.MustParseAddrPort", netip.AddrPortFrom(a, uint16(port)))
	case "Prefix":
		a, ok1 := r.netipAddrOf(t, addr)
		bits, _, ok2 := r.word(t, addr, "bitsPlusOne")
		p := netip.PrefixFrom(a, int(bits)-1)
		return ok1 && ok2 && (p.IsValid() || bits == 0 && !a.IsValid()) && v.parsed(p.IsValid(), "netip.MustParsePrefix", p)
	}
	return false
}

// parsed makes v the literal of a value that a function parses from a text, or of
// the zero value.
func (v *Value) parsed(valid bool, function string, x interface{ MarshalText() ([]byte, error) }) bool {
	text, err := x.MarshalText()
	if err != nil {
		return false
	}
	v.Shape, v.Text, v.JSON = Literal, v.Type+"{}", string(text)
	if valid {
		v.Text = function + "(" + strconv.Quote(string(text)) + ")"
	}
	return true
}

// netipAddrOf reads the field ip of a type.
func (r *reader) netipAddrOf(t *gotypes.Type, addr memory.Address) (netip.Addr, bool) {
	f, ok := t.Field("ip")
	if !ok {
		return netip.Addr{}, false
	}
	return r.netipAddr(f.Type, addr.Add(f.Offset))
}

// netipAddr reads an address as Go 1.23 and later lay it out.
func (r *reader) netipAddr(t *gotypes.Type, addr memory.Address) (a netip.Addr, ok bool) {
	hi, _, ok1 := r.word(t, addr, "addr.hi")
	lo, _, ok2 := r.word(t, addr, "addr.lo")
	detail, typ, ok3 := r.pointee(t, addr, "z.value")
	if !ok1 || !ok2 || !ok3 {
		return a, false
	}
	if detail == 0 {
		return a, hi|lo == 0
	}
	v6, _, ok := r.word(typ, detail, "isV6")
	if !ok {
		return a, false
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	if v6 == 0 {
		return netip.AddrFrom4([4]byte(b[12:])), true
	}
	zone, ok := r.part(typ, detail, "zoneV6")
	if !ok {
		return a, false
	}
	return netip.AddrFrom16(b).WithZone(zone), true
}

// pointee reads a pointer in a field, whose name is a path, and the type of what it
// points at.
func (r *reader) pointee(t *gotypes.Type, addr memory.Address, path string) (to memory.Address, elem *gotypes.Type, ok bool) {
	t, addr, ok = fieldAt(t, addr, path)
	if !ok || t.Kind != gotypes.Pointer {
		return 0, nil, false
	}
	elem, err := t.Elem()
	if err != nil {
		return 0, nil, false
	}
	to, ok = r.pointer(addr)
	return to, elem, ok
}

// part reads the whole text of a field.
func (r *reader) part(t *gotypes.Type, addr memory.Address, path string) (text string, ok bool) {
	t, addr, ok = fieldAt(t, addr, path)
	if !ok || t.Kind != gotypes.String {
		return "", false
	}
	head, ok := r.fetch(addr, t.Size)
	if !ok {
		return "", false
	}
	data, length, err := goobject.String(head)
	if err != nil || length > maxText {
		return "", false
	}
	if length == 0 {
		return "", true
	}
	b, ok := r.fetch(data, length)
	return string(b), ok
}

// url states a url.URL as text, without its password, if all of its parts are there.
func (r *reader) url(v *Value, t *gotypes.Type, addr memory.Address) {
	if t.Name() != "URL" {
		return
	}
	var u url.URL
	ok := true
	for path, to := range map[string]*string{
		"Scheme": &u.Scheme, "Opaque": &u.Opaque, "Host": &u.Host, "Path": &u.Path, "RawPath": &u.RawPath,
		"RawQuery": &u.RawQuery, "Fragment": &u.Fragment, "RawFragment": &u.RawFragment,
	} {
		text, there := r.part(t, addr, path)
		*to, ok = text, ok && there
	}
	force, _, there := r.word(t, addr, "ForceQuery")
	u.ForceQuery, ok = force != 0, ok && there
	omit, _, there := r.word(t, addr, "OmitHost")
	u.OmitHost, ok = omit != 0, ok && there
	user, typ, there := r.pointee(t, addr, "User")
	if ok = ok && there; ok && user != 0 {
		name, there1 := r.part(typ, user, "username")
		set, _, there2 := r.word(typ, user, "passwordSet")
		ok = there1 && there2
		if u.User = url.User(name); set != 0 {
			u.User = url.UserPassword(name, "")
		}
	}
	if text := u.Redacted(); ok && text != "" {
		v.State = append(v.State, text)
	}
}

// context states that a context has ended, and why.
func (r *reader) context(v *Value, t *gotypes.Type, addr memory.Address) {
	f, ok := t.Field("err")
	if t.Name() != "cancelCtx" || !ok {
		return
	}
	typ, at := f.Type, addr.Add(f.Offset)
	if isAtomicValue(typ) { // since Go 1.25
		typ = typ.Fields[0].Type
	}
	if text, known := r.message(typ, at); known {
		v.State = append(v.State, "ended: "+text)
	}
}
