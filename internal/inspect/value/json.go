package value

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MarshalJSON writes the value as JSON: structs as objects, arrays and slices
// as arrays, pointers as what they point at. What JSON has no form for is an
// object whose keys begin with a dollar sign:
//
//	{"$missing": "redacted"}          what the core does not hold, and why
//	{"$bytes": "…"}                   bytes, base64
//	{"$type": "T", "$value": …}       what an interface holds
//	{"$map": [[key, value], …]}       a map whose keys are not texts, or begin with a dollar sign
//	{"$address": "0x…", "$value": …}  a pointer that another one refers to
//	{"$again": "0x…"}                 that other one; also of slices and maps
//	{"$func": "name"}                 a function
//	{"$chan": […]}                    what is in a channel's buffer
//	{"$chan": […], "$senders": […]}   and what goroutines wait to send on it
//	{"$value": …, "$note": "…"}       what is to be said beside a value
//	{"$omitted": "n"}                 what limits left out
func (v *Value) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	v.json(&b)
	return []byte(b.String()), nil
}

func (v *Value) json(b *strings.Builder) {
	opened := 0
	open := func(key string, val any) {
		b.WriteByte('{')
		b.WriteString(quoted(key) + ":" + encoded(val) + ",")
		b.WriteString(`"$value":`)
		opened++
	}
	if v.Referenced {
		open("$address", v.Addr.String())
	}
	if len(v.Notes) > 0 {
		open("$note", strings.Join(v.Notes, "; "))
	}
	if v.Shape == Interface && v.Absent == "" {
		open("$type", v.Elem.Type)
	}
	v.bareJSON(b)
	for range opened {
		b.WriteByte('}')
	}
}

func (v *Value) bareJSON(b *strings.Builder) {
	if v.Absent != "" {
		b.WriteString(`{"$missing":` + encoded(string(v.Absent)))
		if v.Shape == Pointer {
			b.WriteString(`,"$address":` + encoded(v.Addr.String()))
		}
		b.WriteByte('}')
		return
	}
	switch v.Shape {
	case Nil:
		b.WriteString("null")
	case Literal:
		if v.JSON != nil {
			b.WriteString(encoded(v.JSON))
			return
		}
		b.WriteString(v.Text)
	case Text:
		if !utf8.ValidString(v.Text) {
			b.WriteString(`{"$bytes":` + encoded(base64.StdEncoding.EncodeToString([]byte(v.Text))) + "}")
			return
		}
		b.WriteString(encoded(v.Text))
	case Bytes:
		b.WriteString(`{"$bytes":` + encoded(base64.StdEncoding.EncodeToString([]byte(v.Text))) + "}")
	case Struct:
		b.WriteByte('{')
		for i, f := range v.Fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quoted(f.Name) + ":")
			f.Value.json(b)
		}
		b.WriteByte('}')
	case List:
		if v.BackRef {
			b.WriteString(`{"$again":` + encoded(v.Addr.String()) + "}")
			return
		}
		listJSON(b, v.Elems, v.Omitted)
	case Chan:
		b.WriteString(`{"$chan":`)
		listJSON(b, v.Elems, v.Omitted)
		if v.Senders != nil {
			b.WriteString(`,"$senders":`)
			listJSON(b, v.Senders.Values, v.Senders.Omitted)
		}
		b.WriteByte('}')
	case Map:
		if v.BackRef {
			b.WriteString(`{"$again":` + encoded(v.Addr.String()) + "}")
			return
		}
		v.mapJSON(b)
	case Pointer:
		if v.BackRef || v.Elem == nil {
			b.WriteString(`{"$again":` + encoded(v.Addr.String()) + "}")
			return
		}
		v.Elem.json(b)
	case Interface:
		v.Elem.json(b)
	case Func:
		name := v.Func.Name
		if name == "" {
			name = v.Func.Entry.String()
		}
		b.WriteString(`{"$func":` + encoded(name) + "}")
	}
}

// listJSON writes the values of a list, of which omitted are left out.
func listJSON(b *strings.Builder, list []*Value, omitted uint64) {
	b.WriteByte('[')
	for i, e := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		e.json(b)
	}
	if omitted > 0 {
		if len(list) > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"$omitted":` + encodedNumber(omitted) + "}")
	}
	b.WriteByte(']')
}

func (v *Value) mapJSON(b *strings.Builder) {
	texts := true
	for _, e := range v.Entries {
		// A key of the program must not look like one of ours.
		texts = texts && e.Key.Shape == Text && e.Key.Absent == "" && utf8.ValidString(e.Key.Text) && !strings.HasPrefix(e.Key.Text, "$")
	}
	first := true
	sep := func() {
		if !first {
			b.WriteByte(',')
		}
		first = false
	}
	if texts {
		b.WriteByte('{')
		for _, e := range v.Entries {
			sep()
			b.WriteString(quoted(e.Key.Text) + ":")
			e.Value.json(b)
		}
		if v.Omitted > 0 {
			sep()
			b.WriteString(`"$omitted":` + encodedNumber(v.Omitted))
		}
		b.WriteByte('}')
		return
	}
	b.WriteString(`{"$map":[`)
	for _, e := range v.Entries {
		sep()
		b.WriteByte('[')
		e.Key.json(b)
		b.WriteByte(',')
		e.Value.json(b)
		b.WriteByte(']')
	}
	b.WriteByte(']')
	if v.Omitted > 0 {
		b.WriteString(`,"$omitted":` + encodedNumber(v.Omitted))
	}
	b.WriteByte('}')
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // strings and numbers of ours always encode
		return `"?"`
	}
	return string(b)
}

// encodedNumber is a number of 64 bits: a string, as all of them.
func encodedNumber(n uint64) string { return encoded(strconv.FormatUint(n, 10)) }

func quoted(s string) string { return encoded(s) }
