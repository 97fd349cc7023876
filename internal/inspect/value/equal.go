package value

import "slices"

// zero reports whether a value is known and the zero value of its type, with
// nothing to remark. A struct without fields is.
func (v *Value) zero() bool {
	if v.Absent != "" || v.Referenced || len(v.State)+len(v.Notes) > 0 || v.Omitted > 0 {
		return false
	}
	switch v.Shape {
	case Nil:
		return true
	case Literal:
		switch v.Text {
		case "0", "false", "0x0", "complex(0, 0)", "time.Time{}":
			return true
		}
	case Text:
		return v.Text == ""
	case Bytes:
		if v.Slice {
			return false // empty, and not nil
		}
		for i := range len(v.Text) {
			if v.Text[i] != 0 {
				return false
			}
		}
		return true
	case Struct:
		for _, f := range v.Fields {
			if !f.Value.zero() {
				return false
			}
		}
		return true
	}
	return false
}

// plain reports whether a value that is written as another one is the same: scalars,
// texts, nil, and structs and arrays of them. Pointers are not: each has a target.
func (v *Value) plain() bool {
	if v.Referenced || len(v.State)+len(v.Notes) > 0 || v.stream != nil {
		return false
	}
	if v.Absent != "" {
		return v.Shape != Pointer
	}
	switch v.Shape {
	case Nil, Literal, Text, Bytes:
		return true
	case Struct:
		return !slices.ContainsFunc(v.Fields, func(f Field) bool { return !f.Value.plain() })
	case List:
		return v.BackRef || !slices.ContainsFunc(v.Elems, func(e *Value) bool { return !e.plain() })
	case Map:
		return v.BackRef
	case Interface:
		return v.Elem.plain()
	}
	return false
}
