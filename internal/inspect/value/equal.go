package value

// zero reports whether a value is known and the zero value of its type, with
// nothing to remark. A struct without fields is.
func (v *Value) zero() bool {
	if v.Absent != "" || v.Referenced || len(v.Notes) > 0 || v.Omitted > 0 {
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

// same reports whether two values are written alike, wherever they are: scalars,
// texts, nil, and structs and arrays of them. Pointers are not: each has a target.
func (v *Value) same(w *Value) bool {
	if v.Shape != w.Shape || v.Absent != w.Absent || v.Type != w.Type || v.Omitted != w.Omitted || v.Referenced || w.Referenced || len(v.Notes)+len(w.Notes) > 0 {
		return false
	}
	if v.Absent != "" {
		return v.Shape != Pointer
	}
	if v.stream != nil || w.stream != nil {
		return false // not read yet
	}
	switch v.Shape {
	case Nil:
		return true
	case Literal, Text, Bytes:
		return v.Text == w.Text && v.Slice == w.Slice
	case Struct:
		if len(v.Fields) != len(w.Fields) {
			return false
		}
		for i := range v.Fields {
			if !v.Fields[i].Value.same(w.Fields[i].Value) {
				return false
			}
		}
		return true
	case List:
		if len(v.Elems) != len(w.Elems) || v.BackRef || w.BackRef {
			return v.BackRef && w.BackRef && v.Addr == w.Addr
		}
		for i := range v.Elems {
			if !v.Elems[i].same(w.Elems[i]) {
				return false
			}
		}
		return true
	case Map:
		return v.BackRef && w.BackRef && v.Addr == w.Addr
	case Interface:
		return v.Elem.same(w.Elem)
	}
	return false
}
