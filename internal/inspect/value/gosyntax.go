package value

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// lineWidth is how long a composite literal may be before its elements get
// lines of their own.
const lineWidth = 100

// Go returns the value in Go syntax. What is not there stands in comments.
// Pointers are written as the address of a literal; one whose target was
// written before, as its address.
func (v *Value) Go() string { return v.goText(alone, 0) }

// A place is where a value stands: it decides where its type must be written.
type place uint8

const (
	alone   place = iota // by itself, or in an interface: with its type
	field                // of a struct: scalars need no type
	element              // of a list or map: neither do composite literals
)

// goText writes the value; indent is the number of tabs that its lines have.
func (v *Value) goText(at place, indent int) string {
	text := v.bare(at, indent)
	if v.Referenced {
		text = "/* " + v.Addr.String() + " */ " + text
	}
	return text + v.remarks()
}

// remarks are the notes of a value as a comment.
func (v *Value) remarks() string {
	notes := v.Notes
	if v.Omitted > 0 && v.Shape != List && v.Shape != Map && v.Shape != Chan {
		notes = append(notes[:len(notes):len(notes)], fmt.Sprintf("%d more bytes", v.Omitted))
	}
	if len(notes) == 0 {
		return ""
	}
	return " /* " + strings.ReplaceAll(strings.Join(notes, "; "), "*/", "* /") + " */"
}

func (v *Value) bare(at place, indent int) string {
	implied := at != alone
	if v.Absent != "" {
		return v.absent()
	}
	switch v.Shape {
	case Nil:
		if implied {
			return "nil"
		}
		return conversion(v.Type) + "(nil)"
	case Literal:
		if implied || selfTyped(v) {
			return v.Text
		}
		return conversion(v.Type) + "(" + v.Text + ")"
	case Text:
		if implied || v.Type == "string" {
			return strconv.Quote(v.Text)
		}
		return conversion(v.Type) + "(" + strconv.Quote(v.Text) + ")"
	case Bytes:
		return v.goBytes()
	case Struct:
		if v.zero() {
			return v.head(at) + "{}"
		}
		parts := make([]string, len(v.Fields))
		for i, f := range v.Fields {
			parts[i] = f.Name + ": " + f.Value.goText(field, indent+1)
		}
		return v.head(at) + braces(parts, indent)
	case List:
		if v.BackRef {
			return conversion(v.Type) + "(" + v.Addr.String() + ")"
		}
		return v.head(at) + braces(goElems(v.Elems, v.Omitted, "elements", indent), indent)
	case Map:
		if v.BackRef {
			return conversion(v.Type) + "(" + v.Addr.String() + ")"
		}
		parts := make([]string, 0, len(v.Entries)+1)
		for _, e := range v.Entries {
			parts = append(parts, e.Key.goText(element, indent+1)+": "+e.Value.goText(element, indent+1))
		}
		return v.head(at) + braces(more(parts, v.Omitted, "entries"), indent)
	case Pointer:
		if v.BackRef || v.Elem == nil {
			return conversion(v.Type) + "(" + v.Addr.String() + ")"
		}
		if v.Elem.Absent != "" && v.Elem.Shape != Pointer {
			return conversion(v.Type) + "(" + v.Addr.String() + ") " + v.Elem.absent()
		}
		switch v.Elem.Shape {
		case Struct, List, Map:
			return "&" + v.Elem.goText(alone, indent)
		}
		return "new(" + v.Elem.goText(alone, indent) + ")"
	case Interface:
		return v.Elem.goText(alone, indent)
	case Func:
		if v.Func.Name != "" {
			return v.Func.Name
		}
		return conversion(v.Type) + "(" + v.Func.Entry.String() + ")"
	case Chan:
		text := "(" + v.Type + ")(" + v.Addr.String() + ")" + braces(goElems(v.Elems, v.Omitted, "elements", indent), indent)
		if v.Senders != nil {
			text += " <- " + braces(goElems(v.Senders.Values, v.Senders.Omitted, "senders", indent), indent)
		}
		return text
	}
	return "/* ? */"
}

// absent writes why a value is not there.
func (v *Value) absent() string {
	why := "/* " + string(v.Absent) + " */"
	switch v.Shape {
	case Pointer:
		return conversion(v.Type) + "(" + v.Addr.String() + ") " + why
	case List, Map, Chan:
		return v.Type + "{" + why + "}"
	}
	return why
}

// head is the type in front of a composite literal.
func (v *Value) head(at place) string {
	if at == element {
		return ""
	}
	return v.Type
}

// goElems writes the parts of a list, of which omitted are left out.
func goElems(list []*Value, omitted uint64, what string, indent int) []string {
	parts := make([]string, 0, len(list)+1)
	for i, n := 0, 0; i < len(list); i += n {
		text := list[i].goText(element, indent+1)
		n = 1
		for i+n < len(list) && list[i+n].same(list[i]) {
			n++
		}
		if n >= minRun {
			parts = append(parts, text+" /* × "+thousands(n)+" */")
			continue
		}
		for range n {
			parts = append(parts, text)
		}
	}
	return more(parts, omitted, what)
}

// minRun is how many equal elements in a row are written as one.
const minRun = 5

// thousands writes a number with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func more(parts []string, omitted uint64, what string) []string {
	if omitted > 0 {
		parts = append(parts, fmt.Sprintf("/* %d more %s */", omitted, what))
	}
	return parts
}

// braces puts the parts of a composite literal into one line or into lines of
// their own.
func braces(parts []string, indent int) string {
	var b built
	l := layout{w: &b, indent: indent}
	for _, p := range parts {
		l.add(p)
	}
	l.end()
	return b.String()
}

func (v *Value) goBytes() string {
	if v.Slice && printable(v.Text) {
		typ := v.Type
		if typ == "[]uint8" {
			typ = "[]byte"
		}
		return typ + "(" + strconv.Quote(v.Text) + ")"
	}
	var b strings.Builder
	b.WriteString(v.Type + "{")
	for i, n := 0, 0; i < len(v.Text); i += n {
		rest := v.Text[i:]
		n = 1
		for n < len(rest) && rest[n] == rest[0] {
			n++
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "0x%x", rest[0])
		switch {
		case n >= minRun:
			b.WriteString(" /* × " + thousands(n) + " */")
		default:
			n = 1
		}
	}
	return b.String() + "}"
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

// selfTyped reports whether a literal says its type itself.
func selfTyped(v *Value) bool {
	switch v.Type {
	case "int", "bool", "time.Time", "unsafe.Pointer", "complex128":
		return true
	case "float64":
		return strings.ContainsAny(v.Text, ".eEN(") // 3 would be an int
	}
	return strings.HasPrefix(v.Text, "time.Date(") || strings.HasPrefix(v.Text, "unsafe.Pointer(")
}

// conversion writes a type so that a parenthesis may follow.
func conversion(typ string) string {
	if strings.HasPrefix(typ, "*") || strings.HasPrefix(typ, "func") || strings.HasPrefix(typ, "chan") || strings.HasPrefix(typ, "<-") {
		return "(" + typ + ")"
	}
	return typ
}
