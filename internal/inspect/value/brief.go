package value

import (
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/inspect"
)

// Bounds of a brief value.
const (
	briefText   = 200 // bytes
	briefFields = 12
)

// Brief returns a value for one line of text: of a struct its numbers and texts, of what
// has elements their number, and no address.
func (v *Value) Brief() *Value {
	if v.Absent != "" {
		return &Value{Type: v.Type, Absent: v.Absent}
	}
	brief := *v
	brief.Referenced = false
	switch v.Shape {
	case Interface:
		brief.Elem = v.Elem.Brief()
	case Pointer:
		if v.BackRef || v.Elem == nil {
			return v.omitted()
		}
		brief.Elem = v.Elem.Brief()
	case Text, Bytes:
		if len(v.Text) > briefText {
			brief.Omitted += uint64(len(v.Text) - briefText)
			brief.Text = v.Text[:briefText]
		}
	case Struct:
		if v.zero() || len(v.Fields) == 0 {
			break
		}
		brief.Fields = nil
		for _, f := range v.Fields[:min(len(v.Fields), briefFields)] {
			brief.Fields = append(brief.Fields, Field{f.Name, f.Value.inBrief()})
		}
		brief.Omitted = uint64(max(0, len(v.Fields)-briefFields))
	case Func:
		brief.Elem = nil
	case List, Map, Chan:
		return v.omitted()
	}
	return &brief
}

// Line returns the value in Go syntax on one line.
func (v *Value) Line() string { return v.goText(alone, leftmost) }

// leftmost is an indentation from which every literal fits into its line.
const leftmost = -1 << 24

// inBrief returns a field of a brief struct.
func (v *Value) inBrief() *Value {
	switch v.Shape {
	case Struct, List, Map, Chan, Pointer, Interface:
		if !v.zero() {
			return v.omitted()
		}
	}
	return v.Brief()
}

// omitted returns a value without what is in it.
func (v *Value) omitted() *Value {
	short := &Value{Shape: v.Shape, Type: v.Type, Absent: v.Absent}
	if v.Absent != "" || v.Shape == Pointer || v.Shape == Interface || v.Shape == Struct {
		short.Shape = Literal
		switch {
		case v.Absent != "":
		case len(v.State) > 0:
			short.Absent = inspect.Missing(strings.Join(v.State, ", "))
		default:
			short.Absent = notShown
		}
		return short
	}
	n := v.Omitted + uint64(len(v.Elems)+len(v.Entries))
	what := " elements"
	if v.Shape == Map {
		what = " entries"
	}
	if v.BackRef || v.stream != nil {
		short.Absent = notShown
	} else {
		short.Absent = inspect.Missing(strconv.FormatUint(n, 10) + what)
	}
	return short
}

// notShown is why a brief value does not have what is below it.
const notShown inspect.Missing = "…"
