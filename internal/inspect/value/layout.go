package value

import (
	"bytes"
	"strconv"
)

// A layout writes the parts of a composite literal: into one line if they fit, else
// into separate lines, of which short parts share one.
type layout struct {
	s       *source
	indent  int
	streams bool // the literal is that of a streamed value

	start  int  // of the literal
	held   int  // parts that may fit into one line, the last ones of s.parts
	width  int  // of them
	opened bool // they do not fit: the first line is written
	filled int  // bytes in the line that is open
	whole  bool // the last part shares its line with no other

	run, next []byte // an element, and the one after it
	runs      int    // elements that are written as run
}

// A span is where a part is in the source.
type span struct{ from, to int }

// value adds a field.
func (l *layout) value(name string, v *Value) {
	from := l.begin(v.streamed)
	l.s.text(name)
	l.s.text(": ")
	l.s.value(v, field, l.indent+1)
	l.done(from, v.streamed)
}

// entry adds an entry of a map.
func (l *layout) entry(e Entry) {
	from := l.begin(e.Value.streamed)
	l.s.value(e.Key, element, l.indent+1)
	l.s.text(": ")
	l.s.value(e.Value, element, l.indent+1)
	l.done(from, e.Value.streamed)
}

// element adds an element of a list. It does not keep it: see [reader.blank].
func (l *layout) element(e *Value) {
	if e.streamed {
		l.flushRun()
		from := l.begin(true)
		l.s.value(e, element, l.indent+1)
		l.done(from, true)
		return
	}
	at := len(l.s.b)
	l.s.value(e, element, l.indent+1)
	l.next = append(l.next[:0], l.s.b[at:]...)
	l.s.b = l.s.b[:at]
	if l.runs == 0 || !bytes.Equal(l.next, l.run) || !e.plain() {
		l.flushRun()
		l.run, l.next = l.next, l.run
	}
	l.runs++
}

// flushRun adds the elements that are written alike.
func (l *layout) flushRun() {
	if l.runs >= minRun {
		l.run = append(l.run, " /* × "+thousands(l.runs)+" */"...)
		l.runs = 1
	}
	for ; l.runs > 0; l.runs-- {
		l.part(l.run)
	}
}

// more adds a remark about parts that limits left out.
func (l *layout) more(omitted uint64, what string) {
	if omitted > 0 && l.s.key != notKey {
		l.part([]byte(anything))
	} else if omitted > 0 {
		l.part([]byte("/* " + strconv.FormatUint(omitted, 10) + " more " + what + " */"))
	}
}

func (l *layout) part(text []byte) {
	from := l.begin(false)
	l.s.b = append(l.s.b, text...)
	l.done(from, false)
}

// begin writes what precedes a part, and returns where this begins.
func (l *layout) begin(streamed bool) (from int) {
	if streamed && !l.opened {
		l.open()
	}
	switch {
	case l.opened:
		l.newLine(l.indent + 1)
	case l.held == 0:
		l.start = len(l.s.b)
		l.s.text("{")
	default:
		l.s.text(", ")
	}
	return len(l.s.b)
}

// done ends the part that begins at from.
func (l *layout) done(from int, streamed bool) {
	switch {
	case streamed:
		l.s.text(",")
		l.whole = true
	case l.opened:
		l.settle(from)
	default:
		part := l.s.b[from:]
		l.s.parts = append(l.s.parts, span{from, len(l.s.b)})
		l.held++
		l.width += len(part) + 2
		if bytes.IndexByte(part, '\n') >= 0 || 2+l.width+4*l.indent > lineWidth {
			l.open()
		}
	}
	if l.streams && l.opened {
		l.s.flush(flushed)
	}
}

// open gives lines to the parts that are held.
func (l *layout) open() {
	s := l.s
	if l.held == 0 {
		l.start = len(s.b)
	}
	held := s.parts[len(s.parts)-l.held:]
	s.parts, l.held = s.parts[:len(s.parts)-l.held], 0
	s.scratch = append(s.scratch[:0], s.b[l.start:]...)
	s.b = append(s.b[:l.start], '{')
	l.opened = true
	for _, p := range held {
		from := l.begin(false)
		s.b = append(s.b, s.scratch[p.from-l.start:p.to-l.start]...)
		l.settle(from)
	}
}

// settle moves the part that begins at from into the line before its own if it fits
// there: a thousand numbers need no thousand lines.
func (l *layout) settle(from int) {
	s := l.s
	part := s.b[from:]
	size := len(part)
	whole := bytes.ContainsAny(part, "\n:")
	if l.filled > 0 && l.filled+size+4*l.indent <= lineWidth && !whole && !l.whole {
		at := from - 1 - max(l.indent+1, 0)
		s.b[at] = ' '
		s.b = s.b[:at+1+copy(s.b[at+1:], part)]
	} else {
		l.filled = 0
	}
	s.b = append(s.b, ',')
	l.filled, l.whole = l.filled+size+2, whole
}

func (l *layout) newLine(indent int) {
	l.s.b = append(l.s.b, '\n')
	for range indent {
		l.s.b = append(l.s.b, '\t')
	}
}

// end closes the braces.
func (l *layout) end() {
	switch {
	case l.opened:
		l.newLine(l.indent)
		l.s.text("}")
	case l.held == 0:
		l.s.text("{}")
	default:
		l.s.text("}")
		l.s.parts = l.s.parts[:len(l.s.parts)-l.held]
	}
}
