package value

import (
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// lineWidth is how long a composite literal may be before its elements get
// lines of their own.
const lineWidth = 100

// minRun is how many equal elements in a row are written as one.
const minRun = 5

// Go returns the value in Go syntax. Comments replace missing values. Pointers
// are written as the address of a literal, or as an address if the target was
// written before.
func (v *Value) Go() string { return v.goText(alone, 0) }

// goText formats the value; indent is the number of tabs of its lines.
func (v *Value) goText(at place, indent int) string {
	var s source
	s.value(v, at, indent)
	return string(s.b)
}

// A Format is how values are written in Go syntax.
type Format struct {
	Hex       bool // integers and bytes in hexadecimal digits
	Addresses bool // before each value its address; of a slice or a map that of its elements
	Explain   bool // after a duration, an IP address or a constant a comment with its text or name
}

// WriteGo writes the value in Go syntax, see [Value.Go]. The value may be one of
// [Place.Stream].
func (v *Value) WriteGo(w io.Writer, f Format) error {
	s := source{w: w, format: f}
	s.value(v, alone, 0)
	return s.flush(0)
}

// Explained returns the value in Go syntax with the meaning of its numbers, as print
// writes it.
func (v *Value) Explained() string {
	s := source{format: Format{Explain: true}}
	s.value(v, alone, 0)
	return string(s.b)
}

// A place is the position of a value: it decides where its type must be
// written.
type place uint8

const (
	alone   place = iota // by itself, or in an interface: with its type
	field                // of a struct: scalars need no type
	element              // of a list or map: neither do composite literals
)

// A source is Go source that is being written: in b, and before that in w if it is not nil.
type source struct {
	b       []byte
	w       io.Writer
	format  Format
	key     keyForm // it is a key in a path
	err     error   // of w
	parts   []span  // of the layouts that are not opened
	scratch []byte  // of a layout that is
}

func (s *source) text(text string) { s.b = append(s.b, text...) }

// flushed is how much is kept before it is written.
const flushed = 64 << 10

// flush writes what is there, if it is more than some bytes.
func (s *source) flush(most int) error {
	if s.w == nil || len(s.b) <= most {
		return s.err
	}
	if s.err == nil {
		_, s.err = s.w.Write(s.b)
	}
	s.b = s.b[:0]
	return s.err
}

func (s *source) value(v *Value, at place, indent int) {
	if s.key != notKey {
		if !s.inKey(v, indent) {
			s.bare(v, at, indent)
		}
		return
	}
	if v.Referenced || s.format.Addresses && v.addressed() {
		s.text("/* " + v.Addr.String() + " */ ")
	}
	s.bare(v, at, indent)
	if text := v.Meaning(); s.format.Explain && text != "" {
		s.text(" /* " + text + " */")
	}
	s.remarks(v)
}

// addressed reports whether Addr is to be written in a comment: an interface has that of
// its value, and what is written as an address needs no other.
func (v *Value) addressed() bool {
	return v.Addr != 0 && v.Absent == "" && v.Shape != Interface && v.Shape != Pointer && v.Shape != Chan && v.Shape != Nil && !v.BackRef
}

// Meaning returns what a number or bytes mean: the name of a constant, a duration, an
// address of the network. It is empty for a value that means what its text shows.
func (v *Value) Meaning() string {
	switch {
	case v.Absent != "":
	case v.Const != "":
		return v.Const
	case v.Type == "time.Duration" && v.Shape == Literal:
		n, _ := strconv.ParseInt(v.Text, 10, 64) // it was written by us
		return time.Duration(n).String()
	case v.Type == "net.IP" && v.Shape == Bytes && v.Omitted == 0:
		if ip, ok := netip.AddrFromSlice([]byte(v.Text)); ok {
			return ip.Unmap().String()
		}
	}
	return ""
}

// remarks writes the state of a value and its notes as a comment.
func (s *source) remarks(v *Value) {
	more := v.Omitted > 0 && v.Shape != List && v.Shape != Map && v.Shape != Chan
	notes := slices.Concat(v.State, v.Notes)
	if more {
		what := " more bytes"
		if v.Shape == Struct {
			what = " more fields"
		}
		notes = append(notes, strconv.FormatUint(v.Omitted, 10)+what)
	}
	if len(notes) == 0 {
		return
	}
	s.text(" /* " + strings.ReplaceAll(strings.Join(notes, "; "), "*/", "* /") + " */")
}

// bare writes a value without its remarks.
func (s *source) bare(v *Value, at place, indent int) {
	if v.Absent != "" {
		s.absent(v)
		return
	}
	if v.BackRef || v.Shape == Pointer && v.Elem == nil {
		s.converted(v, v.Addr.String())
		return
	}
	switch v.Shape {
	case Nil:
		s.typed(v, at, "nil", false)
	case Literal:
		s.typed(v, at, s.number(v), selfTyped(v))
	case Text:
		s.quoted(v, at)
	case Bytes:
		s.bytes(v, indent)
	case Struct:
		s.structure(v, at, indent)
	case List:
		s.text(v.head(at))
		s.list(v, "elements", indent)
	case Map:
		s.entries(v, at, indent)
	case Pointer:
		s.pointer(v, indent)
	case Interface:
		s.value(v.Elem, alone, indent)
	case Func:
		s.function(v, indent)
	case Chan:
		s.channel(v, indent)
	}
}

// converted writes a conversion of some text to the type of a value.
func (s *source) converted(v *Value, text string) {
	s.text(conversion(v.Type))
	s.b = append(s.b, '(')
	s.text(text)
	s.b = append(s.b, ')')
}

// typed writes a literal, with its type where neither its place nor itself shows it.
func (s *source) typed(v *Value, at place, text string, self bool) {
	if at != alone || self {
		s.text(text)
		return
	}
	s.converted(v, text)
}

// number returns the text of a literal.
func (s *source) number(v *Value) string {
	if !s.format.Hex || !v.Integer {
		return v.Text
	}
	if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil && n < 0 {
		return "-" + hex(-uint64(n))
	}
	n, _ := strconv.ParseUint(v.Text, 10, 64) // it was written by us
	return hex(n)
}

func (s *source) quoted(v *Value, at place) {
	if at != alone || v.Type == "string" {
		s.b = strconv.AppendQuote(s.b, v.Text)
		return
	}
	s.converted(v, strconv.Quote(v.Text))
}

func (s *source) structure(v *Value, at place, indent int) {
	s.text(v.head(at))
	if v.stream == nil && v.zero() {
		s.text("{}")
		return
	}
	l := layout{s: s, indent: indent, streams: v.streamed}
	for _, f := range v.Fields {
		l.value(f.Name, f.Value)
	}
	if v.stream != nil {
		for e := range v.stream {
			l.value(e.Key.Text, e.Value)
		}
	}
	l.end()
}

func (s *source) entries(v *Value, at place, indent int) {
	s.text(v.head(at))
	l := layout{s: s, indent: indent, streams: v.streamed}
	for _, e := range v.Entries {
		l.entry(e)
	}
	if v.stream != nil {
		for e := range v.stream {
			l.entry(e)
		}
	}
	l.more(v.Omitted, "entries")
	l.end()
}

func (s *source) pointer(v *Value, indent int) {
	switch e := v.Elem; {
	case e.Absent != "" && e.Shape != Pointer:
		s.converted(v, v.Addr.String())
		s.text(" ")
		s.absent(e)
	case e.Shape == Struct || e.Shape == List || e.Shape == Map:
		s.text("&")
		s.value(e, alone, indent)
	default:
		s.text("new(")
		s.value(e, alone, indent)
		s.text(")")
	}
}

func (s *source) function(v *Value, indent int) {
	switch name := v.Func.Name; {
	case v.Elem != nil:
		s.text("(")
		s.value(v.Elem, alone, indent)
		s.text(")." + strings.TrimSuffix(name[strings.LastIndexByte(name, '.')+1:], "-fm"))
	case name != "":
		s.text(name)
	default:
		s.converted(v, v.Func.Entry.String())
	}
}

func (s *source) channel(v *Value, indent int) {
	s.text("(" + v.Type + ")(" + v.Addr.String() + ")")
	s.list(v, "elements", indent)
	if v.Senders != nil {
		s.text(" <- ")
		s.list(&Value{Elems: v.Senders.Values, Omitted: v.Senders.Omitted}, "senders", indent)
	}
}

// list writes the elements of a list in braces, equal ones in a row as one.
func (s *source) list(v *Value, what string, indent int) {
	l := layout{s: s, indent: indent, streams: v.streamed}
	for _, e := range v.Elems {
		l.element(e)
	}
	if v.stream != nil {
		for e := range v.stream {
			l.element(e.Value)
		}
	}
	l.flushRun()
	l.more(v.Omitted, what)
	l.end()
}

// absent writes why a value is not there.
func (s *source) absent(v *Value) {
	why := "/* " + string(v.Absent) + " */"
	switch v.Shape {
	case Pointer:
		s.converted(v, v.Addr.String())
		s.text(" " + why)
	case List, Map, Chan:
		s.text(v.Type + "{" + why + "}")
	default:
		s.text(why)
	}
}

// head is the type in front of a composite literal.
func (v *Value) head(at place) string {
	if at == element {
		return ""
	}
	return v.Type
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func (s *source) bytes(v *Value, indent int) {
	if v.Slice && !s.format.Hex && printable(v.Text) {
		typ := v.Type
		if typ == "[]uint8" {
			typ = "[]byte"
		}
		s.text(typ + "(")
		s.b = strconv.AppendQuote(s.b, v.Text)
		s.text(")")
		return
	}
	if len(v.Text) > hexLine && indent >= 0 {
		s.hexdump(v, indent)
		return
	}
	s.text(v.Type + "{")
	for i, n := 0, 0; i < len(v.Text); i += n {
		rest := v.Text[i:]
		n = 1
		for n < len(rest) && rest[n] == rest[0] {
			n++
		}
		if i > 0 {
			s.text(", ")
		}
		s.text("0x")
		s.b = strconv.AppendUint(s.b, uint64(rest[0]), 16)
		switch {
		case n >= minRun:
			s.text(" /* × " + thousands(n) + " */")
		default:
			n = 1
		}
	}
	s.text("}")
}

// Sizes of a hexdump.
const (
	hexLine = 32 // bytes that need none
	hexRow  = 16 // bytes of a row
)

// hexdump writes bytes in rows, each with its text. Rows that are the same are counted.
func (s *source) hexdump(v *Value, indent int) {
	newLine := func(indent int) {
		s.b = append(s.b, '\n')
		for range indent {
			s.b = append(s.b, '\t')
		}
	}
	s.text(v.Type + "{")
	for rest := v.Text; len(rest) > 0; {
		row := rest[:min(hexRow, len(rest))]
		same := 0
		for rest = rest[len(row):]; strings.HasPrefix(rest, row); rest = rest[hexRow:] {
			same++
		}
		newLine(indent + 1)
		for i := range hexRow {
			if i < len(row) {
				s.text("0x")
				s.b = append(s.b, "0123456789abcdef"[row[i]>>4], "0123456789abcdef"[row[i]&15], ',', ' ')
			} else {
				s.text("      ")
			}
		}
		s.text("/* |" + rowText(row) + "|")
		if same > 0 {
			s.text(" × " + thousands(1+same))
		}
		s.text(" */")
	}
	newLine(indent)
	s.text("}")
}

// rowText returns the characters of bytes, with a dot for each other byte. It does not end
// a comment.
func rowText(row string) string {
	text := []byte(row)
	for i, c := range text {
		if c < ' ' || c > '~' || c == '/' && i > 0 && text[i-1] == '*' {
			text[i] = '.'
		}
	}
	return string(text)
}

func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return false
		}
	}
	return true
}

// selfTyped reports whether a literal has its type itself.
func selfTyped(v *Value) bool {
	switch v.Type {
	case "int", "bool", "time.Time", "unsafe.Pointer", "complex128":
		return true
	case "float64":
		return strings.ContainsAny(v.Text, ".eEN(") // 3 would be an int
	}
	return strings.HasPrefix(v.Text, "time.Date(") || strings.HasPrefix(v.Type, "netip.") || strings.HasPrefix(v.Text, "unsafe.Pointer(")
}

// conversion writes a type so that a parenthesis may follow.
func conversion(typ string) string {
	if strings.HasPrefix(typ, "*") || strings.HasPrefix(typ, "func") || strings.HasPrefix(typ, "chan") || strings.HasPrefix(typ, "<-") {
		return "(" + typ + ")"
	}
	return typ
}
