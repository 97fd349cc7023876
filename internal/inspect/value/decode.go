package value

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
	"github.com/meminspect/meminspect/internal/inspect"
)

var le = binary.LittleEndian

// value reads the value of type t at addr; depth is how many pointers may be
// followed from it.
func (r *reader) value(t *gotypes.Type, addr memory.Address, depth int) *Value {
	r.left--
	r.reads++
	if r.marking && r.left >= 0 && !t.Refers() {
		if _, ok := r.fetch(addr, t.Size); ok {
			return nowhere
		}
	}
	made := r.made
	v := r.blank(t.String(), addr)
	r.decode(v, t, addr, depth)
	v.streamed = r.made > made
	return v
}

// nowhere is a value that leads to no other, when only those are looked for that do.
var nowhere = &Value{}

// decode reads a value into a blank one.
func (r *reader) decode(v *Value, t *gotypes.Type, addr memory.Address, depth int) {
	if r.left < 0 {
		v.Absent = inspect.TooMuch
		return
	}
	if special := r.special(v, t, addr, depth); special {
		r.torn(v, addr, t.Size)
		return
	}
	switch t.Kind {
	case gotypes.Struct:
		r.structure(v, t, addr, depth)
		return
	case gotypes.Array:
		r.array(v, t, addr, depth)
		return
	}
	data, ok := r.fetch(addr, t.Size)
	if !ok {
		r.absent(v, addr, t.Size)
		return
	}
	r.torn(v, addr, t.Size)
	switch t.Kind {
	case gotypes.String:
		v.Shape = Text
		r.text(v, data)
	case gotypes.Slice:
		r.slice(v, t, data, depth)
	case gotypes.Pointer:
		r.pointerTo(v, t, goobject.Pointer(data), depth)
	case gotypes.Interface:
		r.iface(v, t, data, addr, depth)
	case gotypes.Map:
		r.mapping(v, t, goobject.Pointer(data), depth)
	case gotypes.Chan:
		r.channel(v, t, goobject.Pointer(data), depth)
	case gotypes.Func:
		r.function(v, goobject.Pointer(data), depth)
	case gotypes.UnsafePointer:
		if v.Shape = Nil; le.Uint64(data) != 0 {
			v.Shape, v.Text = Literal, "unsafe.Pointer("+hex(le.Uint64(data))+")"
			v.JSON = hex(le.Uint64(data))
		}
	default:
		scalar(v, t, data)
		if v.Integer && t.Named && r.limits.Constants {
			r.constant(v, t)
		}
	}
}

// constant finds the constant that a number of a declared type is.
func (r *reader) constant(v *Value, t *gotypes.Type) {
	if t.PkgPath == "time" && t.Name() == "Duration" {
		return
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	if err != nil {
		unsigned, _ := strconv.ParseUint(v.Text, 10, 64) // it was written by us
		n = int64(unsigned)
	}
	v.Const = r.p.Constant(t, n)
}

// torn remarks that some of a value's memory changed while it was read.
func (r *reader) torn(v *Value, addr memory.Address, size uint64) {
	if r.isTorn(addr, size) && !slices.Contains(v.Notes, changed) {
		v.Notes = append(v.Notes, changed)
	}
}

// changed is the note on memory that is not of one moment.
const changed = torn + "it changed while it was read"

func (r *reader) isTorn(addr memory.Address, size uint64) bool {
	return size > 0 && r.p.Torn(memory.RangeOf(addr, size))
}

func hex(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }

// scalar writes a boolean or a number.
func scalar(v *Value, t *gotypes.Type, b []byte) {
	v.Shape = Literal
	v.Integer = gotypes.Int <= t.Kind && t.Kind <= gotypes.Uint64
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
		v.Quoted = true
	case gotypes.Uint8:
		v.Text = strconv.FormatUint(uint64(b[0]), 10)
	case gotypes.Uint16:
		v.Text = strconv.FormatUint(uint64(le.Uint16(b)), 10)
	case gotypes.Uint32:
		v.Text = strconv.FormatUint(uint64(le.Uint32(b)), 10)
	case gotypes.Uint, gotypes.Uint64:
		v.Text = strconv.FormatUint(le.Uint64(b), 10)
		v.Quoted = true
	case gotypes.Uintptr:
		v.Text = hex(le.Uint64(b))
		v.Quoted = true
	case gotypes.Float32:
		v.Text, v.JSON = float(float64(math.Float32frombits(le.Uint32(b))), 32)
	case gotypes.Float64:
		v.Text, v.JSON = float(math.Float64frombits(le.Uint64(b)), 64)
	case gotypes.Complex64:
		v.Text, v.JSON = complexText(float64(math.Float32frombits(le.Uint32(b))), float64(math.Float32frombits(le.Uint32(b[4:]))), 32)
	case gotypes.Complex128:
		v.Text, v.JSON = complexText(math.Float64frombits(le.Uint64(b)), math.Float64frombits(le.Uint64(b[8:])), 64)
	default:
		v.Absent = inspect.BadType
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
	v.Fields = slices.Grow(v.Fields, len(t.Fields))
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Name == "_" { // padding, and marks for go vet
			continue
		}
		v.Fields = append(v.Fields, Field{f.Name, r.value(f.Type, addr.Add(f.Offset), depth)})
		if v.Fields[len(v.Fields)-1].Value.streamed {
			v.stream = r.streamOf(r.fields(t.Fields[i+1:], addr, depth))
			return
		}
	}
	// Nothing of it is captured: report that once.
	for i := range v.Fields {
		absent := v.Fields[i].Value.Absent
		if absent == "" || v.Fields[i].Value.Cut || absent == inspect.TooMuch || absent != v.Fields[0].Value.Absent {
			return
		}
		if i == len(v.Fields)-1 {
			v.Absent, v.Fields = absent, nil
		}
	}
}

func (r *reader) array(v *Value, t *gotypes.Type, addr memory.Address, depth int) {
	v.Shape = List
	elem, err := t.Elem()
	if err != nil {
		v.Absent = inspect.BadType
		return
	}
	if elem.Kind == gotypes.Uint8 {
		v.Shape = Bytes
		r.bytes(v, addr, t.Len)
		return
	}
	r.elements(v, elem, addr, t.Len, depth)
}

// fields returns a function that reads one field after the other.
func (r *reader) fields(fields []gotypes.Field, addr memory.Address, depth int) func() (Entry, bool) {
	return func() (e Entry, ok bool) {
		for len(fields) > 0 {
			f := &fields[0]
			fields = fields[1:]
			if f.Name != "_" {
				name := r.blank("", 0)
				name.Text = f.Name
				return Entry{Key: name, Value: r.value(f.Type, addr.Add(f.Offset), depth)}, true
			}
		}
		return e, false
	}
}

// elements reads n values in a row.
func (r *reader) elements(v *Value, elem *gotypes.Type, addr memory.Address, n uint64, depth int) {
	most := min(n, uint64(r.limits.Elements))
	shown := uint64(0)
	next := func() (e Entry, ok bool) {
		if shown == most || r.left < 0 {
			v.Omitted += n - shown
			return e, false
		}
		shown++
		return Entry{Value: r.value(elem, addr.Add((shown-1)*elem.Size), depth)}, true
	}
	if r.streams(most) {
		v.stream = r.streamOf(next)
		return
	}
	for e, ok := next(); ok; e, ok = next() {
		v.Elems = append(v.Elems, e.Value)
		if e.Value.streamed {
			v.stream = r.streamOf(next)
			return
		}
	}
}

func (r *reader) slice(v *Value, t *gotypes.Type, data []byte, depth int) {
	elem, err := t.Elem()
	if err != nil {
		v.Absent = inspect.BadType
		return
	}
	header, err := goobject.Slice(data, elem.Size)
	ptr, length := header.Data, header.Len
	switch {
	case err != nil:
		v.Absent = inspect.Inconsistent
		v.Notes = append(v.Notes, "length "+strconv.FormatUint(length, 10)+", capacity "+strconv.FormatUint(header.Cap, 10))
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
		r.cut(v, length, "element", "elements")
		return
	}
	if r.marking && !elem.Refers() {
		return
	}
	if length > 0 && elem.Refers() && r.again(v, pointed{addr: ptr, typ: t, n: length}) {
		return
	}
	r.elements(v, elem, ptr, length, depth-1)
}

// text reads a string.
func (r *reader) text(v *Value, data []byte) {
	addr, length, err := goobject.String(data)
	if err != nil {
		v.Absent = inspect.Inconsistent
		v.Notes = append(v.Notes, "length "+strconv.FormatUint(length, 10))
		return
	}
	r.bytes(v, addr, length)
}

// bytes reads bytes, as far as the core has them.
func (r *reader) bytes(v *Value, addr memory.Address, size uint64) {
	want := min(size, uint64(r.limits.Bytes))
	if r.marking {
		want = min(want, 1)
	}
	if want == 0 {
		v.Omitted = size
		return
	}
	r.torn(v, addr, want)
	if b, ok := r.fetch(addr, want); ok {
		v.Text, v.Omitted = string(b), size-want
		return
	}
	b := make([]byte, min(want, 1<<16))
	for done := uint64(0); done < want; {
		part := b[:min(uint64(len(b)), want-done)]
		n, err := r.p.Memory().ReadAt(part, addr.Add(done))
		v.Text += string(part[:max(n, 0)])
		done += uint64(max(n, 0))
		if err != nil || n < len(part) {
			why := r.p.Why(memory.RangeOf(addr.Add(done), 1))
			if done == 0 {
				v.Absent = why
				return
			}
			v.Notes = append(v.Notes, strconv.FormatUint(size-done, 10)+" more bytes: "+string(why))
			return
		}
	}
	v.Omitted = size - want
}

func (r *reader) pointerTo(v *Value, t *gotypes.Type, addr memory.Address, depth int) {
	v.Addr = addr
	if addr == 0 {
		v.Shape = Nil
		return
	}
	elem, err := t.Elem()
	if err != nil {
		v.Shape, v.Absent = Pointer, inspect.BadType
		return
	}
	r.target(v, elem, addr, depth)
}

// target reads what a pointer points at, once.
func (r *reader) target(v *Value, elem *gotypes.Type, addr memory.Address, depth int) {
	v.Shape, v.Addr = Pointer, addr
	key := pointed{addr: addr, typ: elem}
	if depth == 0 && elem.Size > 0 {
		if _, ok := r.shown[key]; !ok {
			r.cutAt(v, elem, addr)
			return
		}
	}
	if r.again(v, key) {
		return
	}
	v.Elem = r.value(elem, addr, max(depth-1, 0))
	if v.Elem.Absent != "" {
		delete(r.shown, key)
	}
}

func (r *reader) iface(v *Value, t *gotypes.Type, data []byte, addr memory.Address, depth int) {
	v.Shape = Interface
	word := goobject.Pointer(data)
	if word == 0 {
		v.Shape = Nil
		return
	}
	dynamic, err := goobject.DynamicType(r.p.Types, t, word)
	if err != nil {
		v.Absent = inspect.BadType
		return
	}
	if dynamic.Direct {
		v.Elem = r.value(dynamic, addr.Add(goobject.InterfaceData), depth)
		return
	}
	ptr := goobject.Pointer(data[goobject.InterfaceData:])
	if depth == 0 && dynamic.Size > 0 { // nothing is below a value without a size
		v.Elem = r.blank(dynamic.String(), ptr)
		r.cutAt(v.Elem, dynamic, ptr)
		return
	}
	v.Elem = r.value(dynamic, ptr, max(depth-1, 0))
}

func (r *reader) function(v *Value, addr memory.Address, depth int) {
	if addr == 0 {
		v.Shape = Nil
		return
	}
	v.Shape = Func
	data, ok := r.fetch(addr, memory.PtrSize)
	if !ok {
		r.absent(v, addr, memory.PtrSize)
		return
	}
	v.Func = &Function{Entry: goobject.FuncEntry(data)}
	v.Func.Name = r.p.FuncName(v.Func.Entry)
	if receiver := r.p.Receiver(v.Func.Entry); receiver != nil && depth > 0 {
		v.Elem = r.value(receiver.Type, addr.Add(receiver.Offset), depth-1)
	}
}
