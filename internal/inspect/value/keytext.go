package value

import "slices"

// maxKeyText is how long the text of a key in a path may be until pointers in it are
// written as addresses.
const maxKeyText = 160

// KeyText returns the key as a path has it: in Go syntax on one line, without comments
// but those in the place of values that the core does not have. A pointer is written with
// what it leads to, as far as paths compare keys, or as an address if that is long, or if
// another key of the map looks the same.
func (e Entry) KeyText() string {
	key := e.pathKey()
	if key == e.Key {
		return key.KeyText()
	}
	return e.of.keyText(key)
}

// keyText returns a key that was read for paths as text.
func (e *entries) keyText(key *Value) string {
	text := key.KeyText()
	if addresses := key.keyText(keyAddresses); addresses != text && e.alike(text) {
		return addresses
	}
	return text
}

// alike reports whether two keys of the map have a text. It reads the keys once.
func (e *entries) alike(text string) bool {
	if len(e.all) > sortedKeys {
		return true
	}
	if e.texts == nil {
		r := newReader(e.r.p, keyLimits)
		r.reuse, r.forOrder = true, true
		e.texts = map[string]bool{}
		for _, p := range e.all {
			text := e.pathKey(r, p).KeyText()
			_, seen := e.texts[text]
			e.texts[text] = seen
		}
	}
	return e.texts[text]
}

// KeyIdentity returns a text that is the same for equal keys of two programs: it has no
// address.
func (e Entry) KeyIdentity() string { return e.pathKey().keyText(keyIdentity) }

// pathKey returns the key as paths compare keys: the key that is shown may lead to a whole
// tree, or to what is shown elsewhere. It is valid until the next call.
func (e Entry) pathKey() *Value {
	scalar := e.Key.Shape == Literal || e.Key.Shape == Text && e.Key.Omitted == 0
	if e.of == nil || scalar && len(e.Key.Notes) == 0 && e.Key.Absent == "" {
		return e.Key
	}
	r := e.of.r
	if r.pathKeys == nil {
		r.pathKeys = newReader(r.p, keyLimits)
		r.pathKeys.reuse, r.pathKeys.forOrder = true, true
	}
	return e.of.pathKey(r.pathKeys, e.at)
}

// pathKey reads a key as paths compare keys.
func (e *entries) pathKey(r *reader, p entryPlace) *Value {
	clear(r.shown)
	r.arena.used, r.left = 0, maxKeyValues
	return e.key(r, p.key, keyLimits.Depth)
}

// KeyText returns a key as text: see [Entry.KeyText].
func (v *Value) KeyText() string {
	text := v.keyText(keyPath)
	if len(text) > maxKeyText {
		text = v.keyText(keyAddresses)
	}
	return text
}

func (v *Value) keyText(as keyForm) string {
	s := source{key: as}
	s.value(v, alone, leftmost)
	return string(s.b)
}

// A keyForm is how keys of maps are written in paths.
type keyForm uint8

// The forms of keys.
const (
	notKey       keyForm = iota
	keyPath              // pointers with what they lead to
	keyAddresses         // pointers as addresses
	keyIdentity          // without addresses
)

// anything is what a key has in the place of a value that is not known, or that no
// expression has.
const anything = "_"

// inKey writes what a key has in another form than other values. It reports false for
// values that are written as all others are.
func (s *source) inKey(v *Value, indent int) bool {
	switch {
	case s.key == notKey:
		return false
	case v.BackRef, v.Shape == Chan, v.Shape == Pointer && (s.key == keyAddresses || v.Elem == nil || v.Absent != "" || v.Elem.Absent != ""):
		s.converted(v, s.keyAddress(v))
	case v.Absent != "":
		if s.key != keyIdentity {
			s.text("/* " + string(v.Absent) + " */ ")
		}
		s.text(anything)
	case v.Shape == Func && s.key == keyIdentity && v.Func.Name != "":
		s.text(v.Func.Name)
	case v.Shape == Func:
		s.text(anything)
	case v.Shape == List:
		s.text(v.Type)
		s.keyElements(v, indent)
	case v.Shape == Bytes && (!v.Slice || !printable(v.Text)):
		s.text(v.Type + "{")
		for i, c := range []byte(v.Text) {
			if i > 0 {
				s.text(", ")
			}
			s.text(hex(uint64(c)))
		}
		s.text("}")
	default:
		return false
	}
	return true
}

// keyAddress returns the address of a pointer or a channel.
func (s *source) keyAddress(v *Value) string {
	if s.key == keyIdentity {
		return anything
	}
	return v.Addr.String()
}

// keyElements writes the elements of a list, those that are equal too.
func (s *source) keyElements(v *Value, indent int) {
	s.text("{")
	for i, e := range v.Elems {
		if i > 0 {
			s.text(", ")
		}
		s.value(e, element, indent)
	}
	if v.Omitted > 0 {
		if len(v.Elems) > 0 {
			s.text(", ")
		}
		s.text(anything)
	}
	s.text("}")
}

// Zero reports whether a value is known, and the zero value of its type.
func (v *Value) Zero() bool { return v.zero() }

// Field returns a field of a struct, nil if it does not exist.
func (v *Value) Field(name string) *Value {
	i := slices.IndexFunc(v.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return v.Fields[i].Value
}
