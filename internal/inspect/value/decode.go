package value

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

var le = binary.LittleEndian

// value reads the value of type t at addr; depth is how many pointers may be
// followed from it.
func (r *reader) value(t *gotypes.Type, addr memory.Address, depth int) *Value {
	v := &Value{Type: t.String(), Addr: addr}
	if r.left--; r.left < 0 {
		v.Missing = TooMuch
		return v
	}
	if special := r.special(v, t, addr, depth); special {
		return v
	}
	switch t.Kind {
	case gotypes.Struct:
		r.structure(v, t, addr, depth)
		return v
	case gotypes.Array:
		r.array(v, t, addr, depth)
		return v
	}
	data, ok := r.p.read(addr, t.Size)
	if !ok {
		return r.missing(v, addr, t.Size)
	}
	switch t.Kind {
	case gotypes.String:
		v.Shape = Text
		r.bytes(v, memory.Address(le.Uint64(data)), le.Uint64(data[8:]))
	case gotypes.Slice:
		r.slice(v, t, data, depth)
	case gotypes.Pointer:
		r.pointer(v, t, memory.Address(le.Uint64(data)), depth)
	case gotypes.Interface:
		r.iface(v, t, data, addr, depth)
	case gotypes.Map:
		r.mapping(v, t, memory.Address(le.Uint64(data)), depth)
	case gotypes.Chan:
		r.channel(v, t, memory.Address(le.Uint64(data)), depth)
	case gotypes.Func:
		r.function(v, memory.Address(le.Uint64(data)))
	case gotypes.UnsafePointer:
		if v.Shape = Nil; le.Uint64(data) != 0 {
			v.Shape, v.Text = Literal, "unsafe.Pointer("+hex(le.Uint64(data))+")"
			v.JSON = hex(le.Uint64(data))
		}
	default:
		scalar(v, t, data)
	}
	return v
}

func hex(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }

// scalar writes a boolean or a number.
func scalar(v *Value, t *gotypes.Type, b []byte) {
	v.Shape = Literal
	switch t.Kind {
	case gotypes.Bool:
		v.Text = strconv.FormatBool(b[0] != 0)
		if b[0] > 1 {
			v.Notes = append(v.Notes, "not a valid bool: "+strconv.Itoa(int(b[0])))
		}
	case gotypes.Int8:
		v.Text = strconv.FormatInt(int64(int8(b[0])), 10)
	case gotypes.Int16:
		v.Text = strconv.FormatInt(int64(int16(le.Uint16(b))), 10)
	case gotypes.Int32:
		v.Text = strconv.FormatInt(int64(int32(le.Uint32(b))), 10)
	case gotypes.Int, gotypes.Int64:
		v.Text = strconv.FormatInt(int64(le.Uint64(b)), 10)
		v.JSON = v.Text // readers of JSON lose digits of larger numbers
	case gotypes.Uint8:
		v.Text = strconv.FormatUint(uint64(b[0]), 10)
	case gotypes.Uint16:
		v.Text = strconv.FormatUint(uint64(le.Uint16(b)), 10)
	case gotypes.Uint32:
		v.Text = strconv.FormatUint(uint64(le.Uint32(b)), 10)
	case gotypes.Uint, gotypes.Uint64:
		v.Text = strconv.FormatUint(le.Uint64(b), 10)
		v.JSON = v.Text
	case gotypes.Uintptr:
		v.Text = hex(le.Uint64(b))
		v.JSON = v.Text
	case gotypes.Float32:
		v.Text, v.JSON = float(float64(math.Float32frombits(le.Uint32(b))), 32)
	case gotypes.Float64:
		v.Text, v.JSON = float(math.Float64frombits(le.Uint64(b)), 64)
	case gotypes.Complex64:
		v.Text, v.JSON = complexText(float64(math.Float32frombits(le.Uint32(b))), float64(math.Float32frombits(le.Uint32(b[4:]))), 32)
	case gotypes.Complex128:
		v.Text, v.JSON = complexText(math.Float64frombits(le.Uint64(b)), math.Float64frombits(le.Uint64(b[8:])), 64)
	default:
		v.Missing = BadType
	}
}

// float writes a number as Go source, where -0 is 0. JSON has no infinities.
func float(f float64, bits int) (text string, inJSON any) {
	switch {
	case math.IsNaN(f):
		return "math.NaN()", "NaN"
	case math.IsInf(f, 1):
		return "math.Inf(1)", "+Inf"
	case math.IsInf(f, -1):
		return "math.Inf(-1)", "-Inf"
	case f == 0 && math.Signbit(f):
		return "math.Copysign(0, -1)", json.Number("-0")
	}
	return strconv.FormatFloat(f, 'g', -1, bits), nil
}

func complexText(re, im float64, bits int) (text string, json any) {
	a, x := float(re, bits)
	b, y := float(im, bits)
	return "complex(" + a + ", " + b + ")", []string{jsonText(a, x), jsonText(b, y)}
}

// jsonText is the text in JSON of what float returned.
func jsonText(text string, inJSON any) string {
	if inJSON != nil {
		return fmt.Sprint(inJSON)
	}
	return text
}

func (r *reader) structure(v *Value, t *gotypes.Type, addr memory.Address, depth int) {
	v.Shape = Struct
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Name == "_" { // padding, and marks for go vet
			continue
		}
		v.Fields = append(v.Fields, Field{f.Name, r.value(f.Type, addr.Add(f.Offset), depth)})
	}
	// Nothing of it is there: say so once.
	for i := range v.Fields {
		missing := v.Fields[i].Value.Missing
		if missing == "" || missing == TooMuch || missing != v.Fields[0].Value.Missing {
			return
		}
		if i == len(v.Fields)-1 {
			v.Missing, v.Fields = missing, nil
		}
	}
}

func (r *reader) array(v *Value, t *gotypes.Type, addr memory.Address, depth int) {
	v.Shape = List
	elem, err := t.Elem()
	if err != nil {
		v.Missing = BadType
		return
	}
	if elem.Kind == gotypes.Uint8 {
		v.Shape = Bytes
		r.bytes(v, addr, t.Len)
		return
	}
	r.elements(v, elem, addr, t.Len, depth)
}

// elements reads n values in a row.
func (r *reader) elements(v *Value, elem *gotypes.Type, addr memory.Address, n uint64, depth int) {
	most := min(n, uint64(r.limits.Elements))
	for i := range most {
		if r.left < 0 {
			most = i
			break
		}
		v.Elems = append(v.Elems, r.value(elem, addr.Add(i*elem.Size), depth))
	}
	v.Omitted = n - most
}

func (r *reader) slice(v *Value, t *gotypes.Type, data []byte, depth int) {
	ptr, length, capacity := memory.Address(le.Uint64(data)), le.Uint64(data[8:]), le.Uint64(data[16:])
	elem, err := t.Elem()
	switch {
	case err != nil:
		v.Missing = BadType
		return
	case length > capacity || elem.Size > 0 && capacity > 1<<47/elem.Size:
		v.Missing = Inconsistent
		v.Notes = append(v.Notes, "length "+strconv.FormatUint(length, 10)+", capacity "+strconv.FormatUint(capacity, 10))
		return
	case ptr == 0:
		v.Shape = Nil
		return
	}
	v.Addr = ptr
	if elem.Kind == gotypes.Uint8 {
		v.Shape, v.Slice = Bytes, true
		r.bytes(v, ptr, length)
		return
	}
	v.Shape = List
	if length > 0 && depth == 0 {
		v.Missing = TooMuch
		return
	}
	r.elements(v, elem, ptr, length, depth-1)
}

// bytes reads a text, as far as the core has it.
func (r *reader) bytes(v *Value, addr memory.Address, size uint64) {
	if size > 1<<47 {
		v.Missing = Inconsistent
		v.Notes = append(v.Notes, "length "+strconv.FormatUint(size, 10))
		return
	}
	want := min(size, uint64(r.limits.Bytes))
	if want == 0 {
		v.Omitted = size
		return
	}
	b := make([]byte, min(want, 1<<16))
	for done := uint64(0); done < want; {
		part := b[:min(uint64(len(b)), want-done)]
		n, err := r.p.mem.ReadAt(part, addr.Add(done))
		v.Text += string(part[:max(n, 0)])
		done += uint64(max(n, 0))
		if err != nil || n < len(part) {
			why := r.p.why(memory.RangeOf(addr.Add(done), 1))
			if done == 0 {
				v.Missing = why
				return
			}
			v.Notes = append(v.Notes, strconv.FormatUint(size-done, 10)+" more bytes: "+string(why))
			return
		}
	}
	v.Omitted = size - want
}

func (r *reader) pointer(v *Value, t *gotypes.Type, addr memory.Address, depth int) {
	v.Addr = addr
	if addr == 0 {
		v.Shape = Nil
		return
	}
	elem, err := t.Elem()
	if err != nil {
		v.Shape, v.Missing = Pointer, BadType
		return
	}
	r.target(v, elem, addr, depth)
}

// target reads what a pointer points at, once.
func (r *reader) target(v *Value, elem *gotypes.Type, addr memory.Address, depth int) {
	v.Shape, v.Addr = Pointer, addr
	key := pointed{addr, elem}
	if first, ok := r.shown[key]; ok {
		first.Shown, v.Again = true, true
		return
	}
	if depth == 0 {
		v.Missing = TooMuch
		return
	}
	r.shown[key] = v
	v.To = r.value(elem, addr, depth-1)
	if v.To.Missing != "" {
		delete(r.shown, key)
	}
}

func (r *reader) iface(v *Value, t *gotypes.Type, data []byte, addr memory.Address, depth int) {
	v.Shape = Interface
	word := memory.Address(le.Uint64(data))
	if word == 0 {
		v.Shape = Nil
		return
	}
	dynamic, err := r.p.Types.Dynamic(t, word)
	if err != nil {
		v.Missing = BadType
		return
	}
	if dynamic.Direct {
		v.To = r.value(dynamic, addr.Add(8), depth)
		return
	}
	ptr := memory.Address(le.Uint64(data[8:]))
	if depth == 0 {
		v.To = &Value{Type: dynamic.String(), Addr: ptr, Missing: TooMuch}
		return
	}
	v.To = r.value(dynamic, ptr, depth-1)
}

func (r *reader) function(v *Value, addr memory.Address) {
	if addr == 0 {
		v.Shape = Nil
		return
	}
	v.Shape = Func
	data, ok := r.p.read(addr, 8)
	if !ok {
		r.missing(v, addr, 8)
		return
	}
	v.Func = &Function{Entry: memory.Address(le.Uint64(data))}
	v.Func.Name = r.p.funcName(v.Func.Entry)
}
