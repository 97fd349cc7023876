package value

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// bufferSize is how much of a value is written at once.
const bufferSize = 64 << 10

// A textWriter is what JSON is written to. It keeps the errors of its writer.
type textWriter interface {
	text(text string)
	char(c byte)
}

// built is text in memory.
type built struct{ strings.Builder }

func (b *built) text(text string) { b.WriteString(text) }
func (b *built) char(c byte)      { b.WriteByte(c) }

// buffered is text on its way to a writer. Flush returns the first error.
type buffered struct{ *bufio.Writer }

func (b buffered) text(text string) { _, _ = b.WriteString(text) }
func (b buffered) char(c byte)      { _ = b.WriteByte(c) }

// MarshalJSON writes the value as JSON: structs as objects, arrays and slices
// as arrays, pointers as their targets. Values without a JSON form are objects
// whose keys begin with a dollar sign:
//
//	{"$missing": "redacted"}          what the core does not hold, and why
//	{"$bytes": "…"}                   bytes, base64
//	{"$type": "T", "$value": …}       what an interface holds
//	{"$map": [[key, value], …]}       a map whose keys are not texts, or begin with a dollar sign
//	{"$address": "0x…", "$value": …}  a pointer that another one refers to
//	{"$again": "0x…"}                 that other one; also of slices and maps
//	{"$func": "name"}                 a function
//	{"$func": "name", "$receiver": …} a method value, if the type of its receiver is known
//	{"$chan": […]}                    what is in a channel's buffer
//	{"$chan": […], "$senders": […]}   and what goroutines wait to send on it
//	{"$value": …, "$note": "…"}       a value with a remark
//	{"$omitted": "n"}                 what limits left out
func (v *Value) MarshalJSON() ([]byte, error) {
	var b built
	v.json(&b)
	return []byte(b.String()), nil
}

// WriteJSON writes the value as JSON, see [Value.MarshalJSON]. The value may be one of
// [Place.Stream].
func (v *Value) WriteJSON(w io.Writer) error {
	b := buffered{bufio.NewWriterSize(w, bufferSize)}
	v.json(b)
	return b.Flush()
}

func (v *Value) json(b textWriter) {
	opened := 0
	open := func(key string, val any) {
		b.char('{')
		b.text(quoted(key) + ":" + encoded(val) + ",")
		b.text(`"$value":`)
		opened++
	}
	if v.Referenced {
		open("$address", v.Addr.String())
	}
	if notes := slices.Concat(v.State, v.Notes); len(notes) > 0 {
		open("$note", strings.Join(notes, "; "))
	}
	if v.Shape == Interface && v.Absent == "" {
		open("$type", v.Elem.Type)
	}
	v.bareJSON(b)
	for range opened {
		b.char('}')
	}
}

func (v *Value) bareJSON(b textWriter) {
	if v.Absent != "" {
		b.text(`{"$missing":` + encoded(string(v.Absent)))
		if v.Shape == Pointer {
			b.text(`,"$address":` + encoded(v.Addr.String()))
		}
		b.char('}')
		return
	}
	switch v.Shape {
	case Nil:
		b.text("null")
	case Literal:
		if v.Quoted {
			b.text(quoted(v.Text))
			return
		}
		if v.JSON != nil {
			b.text(encoded(v.JSON))
			return
		}
		b.text(v.Text)
	case Text:
		if !utf8.ValidString(v.Text) {
			b.text(`{"$bytes":` + encoded(base64.StdEncoding.EncodeToString([]byte(v.Text))) + "}")
			return
		}
		b.text(encoded(v.Text))
	case Bytes:
		b.text(`{"$bytes":` + encoded(base64.StdEncoding.EncodeToString([]byte(v.Text))) + "}")
	case Struct:
		b.char('{')
		first := true
		for f := range v.AllFields() {
			separate(b, &first)
			b.text(quoted(f.Name) + ":")
			f.Value.json(b)
		}
		b.char('}')
	case List:
		if v.BackRef {
			b.text(`{"$again":` + encoded(v.Addr.String()) + "}")
			return
		}
		v.listJSON(b)
	case Chan:
		b.text(`{"$chan":`)
		v.listJSON(b)
		if v.Senders != nil {
			b.text(`,"$senders":`)
			(&Value{Elems: v.Senders.Values, Omitted: v.Senders.Omitted}).listJSON(b)
		}
		b.char('}')
	case Map:
		if v.BackRef {
			b.text(`{"$again":` + encoded(v.Addr.String()) + "}")
			return
		}
		v.mapJSON(b)
	case Pointer:
		if v.BackRef || v.Elem == nil {
			b.text(`{"$again":` + encoded(v.Addr.String()) + "}")
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
		b.text(`{"$func":` + encoded(name))
		if v.Elem != nil {
			b.text(`,"$receiver":`)
			v.Elem.json(b)
		}
		b.char('}')
	}
}

// listJSON writes the elements of a list.
func (v *Value) listJSON(b textWriter) {
	b.char('[')
	first := true
	for e := range v.AllElems() {
		separate(b, &first)
		e.json(b)
	}
	if v.Omitted > 0 {
		separate(b, &first)
		b.text(`{"$omitted":` + encodedNumber(v.Omitted) + "}")
	}
	b.char(']')
}

// separate writes a comma, but before the first part.
func separate(b textWriter, first *bool) {
	if !*first {
		b.char(',')
	}
	*first = false
}

// jsonName reports whether a key of a map is a name in JSON: a key of the program must
// not look like one of ours.
func jsonName(key *Value) bool {
	return key.Shape == Text && key.Absent == "" && utf8.ValidString(key.Text) && !strings.HasPrefix(key.Text, "$")
}

func (v *Value) mapJSON(b textWriter) {
	names := v.texts
	if v.stream == nil {
		names = !slices.ContainsFunc(v.Entries, func(e Entry) bool { return !jsonName(e.Key) })
	}
	first := true
	if names {
		b.char('{')
		for e := range v.AllEntries() {
			separate(b, &first)
			b.text(quoted(e.Key.Text) + ":")
			e.Value.json(b)
		}
		if v.Omitted > 0 {
			separate(b, &first)
			b.text(`"$omitted":` + encodedNumber(v.Omitted))
		}
		b.char('}')
		return
	}
	b.text(`{"$map":[`)
	for e := range v.AllEntries() {
		separate(b, &first)
		b.char('[')
		e.Key.json(b)
		b.char(',')
		e.Value.json(b)
		b.char(']')
	}
	b.char(']')
	if v.Omitted > 0 {
		b.text(`,"$omitted":` + encodedNumber(v.Omitted))
	}
	b.char('}')
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
