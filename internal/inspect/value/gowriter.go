package value

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// bufferSize is how much of a value is written at once.
const bufferSize = 64 << 10

// A textWriter is what values are written to. It keeps the errors of its writer.
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

// WriteGo writes the value in Go syntax, see [Value.Go]. The value may be one of
// [Place.Stream].
func (v *Value) WriteGo(w io.Writer) error {
	b := buffered{bufio.NewWriterSize(w, bufferSize)}
	v.writeGo(b, alone, 0)
	return b.Flush()
}

// writeGo writes what goText returns. What has no stream in it is written at once.
func (v *Value) writeGo(w textWriter, at place, indent int) {
	if v.Absent != "" || !v.streamed {
		w.text(v.goText(at, indent))
		return
	}
	if v.Referenced {
		w.text("/* " + v.Addr.String() + " */ ")
	}
	switch v.Shape {
	case Pointer:
		switch v.Elem.Shape {
		case Struct, List, Map:
			w.char('&')
			v.Elem.writeGo(w, alone, indent)
		default:
			w.text("new(")
			v.Elem.writeGo(w, alone, indent)
			w.char(')')
		}
	case Interface:
		v.Elem.writeGo(w, alone, indent)
	case Chan:
		w.text("(" + v.Type + ")(" + v.Addr.String() + ")")
		v.writeElements(w, "elements", indent)
		if v.Senders != nil {
			w.text(" <- ")
			(&Value{Elems: v.Senders.Values, Omitted: v.Senders.Omitted}).writeElements(w, "senders", indent)
		}
	case Struct:
		w.text(v.head(at))
		l := layout{w: w, indent: indent}
		for f := range v.AllFields() {
			l.value(f.Name+": ", f.Value, field)
		}
		l.end()
	case Map:
		w.text(v.head(at))
		l := layout{w: w, indent: indent}
		for e := range v.AllEntries() {
			l.value(e.Key.goText(element, indent+1)+": ", e.Value, element)
		}
		l.more(v.Omitted, "entries")
		l.end()
	default:
		w.text(v.head(at))
		v.writeElements(w, "elements", indent)
	}
	w.text(v.remarks())
}

// writeElements writes the elements of a list in braces.
func (v *Value) writeElements(w textWriter, what string, indent int) {
	l := layout{w: w, indent: indent}
	var first *Value // of equal elements
	n := 0
	flush := func() {
		switch {
		case n >= minRun:
			l.add(first.goText(element, indent+1) + " /* × " + thousands(n) + " */")
		case n == 1:
			l.value("", first, element)
		default:
			for range n {
				l.add(first.goText(element, indent+1))
			}
		}
	}
	for e := range v.AllElems() {
		if n > 0 && e.same(first) {
			n++
			continue
		}
		flush()
		if first, n = e, 1; e.streamed { // it is read before the next one
			flush()
			n = 0
		}
	}
	flush()
	l.more(v.Omitted, what)
	l.end()
}

// A layout writes the parts of a composite literal: into one line if they fit, else
// into separate lines, of which short parts share one.
type layout struct {
	w      textWriter
	indent int

	held   []string // parts, as long as they may fit into one line
	width  int      // of held
	opened bool     // they do not fit: the first line is written
	filled int      // bytes in the line that is open
	last   string   // part in it
}

// add adds a part.
func (l *layout) add(part string) {
	if l.opened {
		l.part(part)
		return
	}
	l.held = append(l.held, part)
	l.width += len(part) + 2
	if strings.Contains(part, "\n") || 2+l.width+4*l.indent > lineWidth {
		l.open()
	}
}

// value adds a part that is a value after some text.
func (l *layout) value(text string, v *Value, at place) {
	if !v.streamed {
		l.add(text + v.goText(at, l.indent+1))
		return
	}
	if !l.opened {
		l.open()
	}
	l.newLine()
	l.w.text(text)
	v.writeGo(l.w, at, l.indent+1)
	l.w.char(',')
	l.filled, l.last = 1, "\n" // nothing shares its line
}

// more adds a remark about parts that limits left out.
func (l *layout) more(omitted uint64, what string) {
	if omitted > 0 {
		l.add(fmt.Sprintf("/* %d more %s */", omitted, what))
	}
}

// open begins lines.
func (l *layout) open() {
	l.w.char('{')
	l.opened = true
	for _, p := range l.held {
		l.part(p)
	}
	l.held = nil
}

// newLine ends a line, and begins one.
func (l *layout) newLine() {
	l.w.char('\n')
	for range l.indent + 1 {
		l.w.char('\t')
	}
	l.filled = 0
}

// part writes a part into a line. A thousand numbers need no thousand lines.
func (l *layout) part(p string) {
	if l.filled == 0 || l.filled+len(p)+4*l.indent > lineWidth || strings.ContainsAny(p, "\n:") || strings.ContainsAny(l.last, "\n:") {
		l.newLine()
	} else {
		l.w.char(' ')
	}
	l.w.text(p)
	l.w.char(',')
	l.filled, l.last = l.filled+len(p)+2, p
}

// end closes the braces.
func (l *layout) end() {
	if !l.opened {
		l.w.text("{" + strings.Join(l.held, ", ") + "}")
		return
	}
	l.indent--
	l.newLine()
	l.w.char('}')
}
