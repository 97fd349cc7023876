package value

import (
	"math/big"
	"slices"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/gocore/goobject"
	"github.com/meminspect/meminspect/internal/gocore/gotypes"
)

// wordBytes is the size of a big.Word.
const wordBytes = 8

// maxWords bounds a number that is printed: a million digits are not readable.
const maxWords = 1 << 16

// found is what reading a number came to.
type found uint8

const (
	unknown found = iota // the type does not have the known fields, or contradicts itself
	missing              // the core lacks some of it: the value is marked
	known
)

// numeral makes v the literal of a number, if that is known, and reports whether v
// is done.
func (v *Value) numeral(text func() string, f found) bool {
	if f == known {
		v.Shape, v.Text, v.Quoted = Literal, text(), true
	}
	return f != unknown
}

func (r *reader) bigInt(v *Value, t *gotypes.Type, addr memory.Address) bool {
	n, f := r.integer(v, t, addr)
	return v.numeral(func() string { return n.String() }, f)
}

func (r *reader) bigRat(v *Value, t *gotypes.Type, addr memory.Address) bool {
	num, ok1 := t.Field("a")
	den, ok2 := t.Field("b")
	if !ok1 || !ok2 {
		return false
	}
	a, f := r.integer(v, num.Type, addr.Add(num.Offset))
	if f != known {
		return f == missing
	}
	b, f := r.integer(v, den.Type, addr.Add(den.Offset))
	if f != known {
		return f == missing
	}
	if b.Sign() == 0 { // the zero big.Rat
		b.SetInt64(1)
	}
	return v.numeral(func() string { return new(big.Rat).SetFrac(a, b).RatString() }, known)
}

// Forms of a big.Float, see its source.
const (
	bigZero = iota
	bigFinite
	bigInfinite
)

func (r *reader) bigFloat(v *Value, t *gotypes.Type, addr memory.Address) bool {
	prec, ok1 := t.Field("prec")
	form, ok2 := t.Field("form")
	neg, ok3 := t.Field("neg")
	mant, ok4 := t.Field("mant")
	exp, ok5 := t.Field("exp")
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || prec.Type.Size != 4 || exp.Type.Size != 4 || mant.Type.Kind != gotypes.Slice {
		return false
	}
	head, ok := r.fetch(addr, t.Size)
	if !ok {
		r.absent(v, addr, t.Size)
		return true
	}
	head = slices.Clone(head) // the words are read next
	x := new(big.Float)
	switch head[form.Offset] {
	case bigZero:
	case bigInfinite:
		x.SetInf(false)
	case bigFinite:
		words, f := r.words(v, head[mant.Offset:])
		if f != known {
			return f == missing
		}
		// The mantissa is a fraction: 0.5 <= mant < 1.
		bits := 8 * len(words)
		x.SetPrec(uint(le.Uint32(head[prec.Offset:]))).SetInt(new(big.Int).SetBytes(words))
		x.SetMantExp(x, int(int32(le.Uint32(head[exp.Offset:])))-bits)
	default:
		return false
	}
	if head[neg.Offset] != 0 {
		x.Neg(x)
	}
	v.JSON = x.Prec() // for Decode: a Literal that is Quoted has its Text in JSON
	return v.numeral(func() string { return x.Text('g', -1) }, known)
}

// integer reads a big.Int.
func (r *reader) integer(v *Value, t *gotypes.Type, addr memory.Address) (*big.Int, found) {
	neg, ok1 := t.Field("neg")
	abs, ok2 := t.Field("abs")
	if !ok1 || !ok2 || abs.Type.Kind != gotypes.Slice {
		return nil, unknown
	}
	head, ok := r.fetch(addr, t.Size)
	if !ok {
		r.absent(v, addr, t.Size)
		return nil, missing
	}
	negative := head[neg.Offset] != 0
	words, f := r.words(v, head[abs.Offset:])
	if f != known {
		return nil, f
	}
	n := new(big.Int).SetBytes(words)
	if negative {
		n.Neg(n)
	}
	return n, known
}

// words reads the words of a number, of which head is the slice, as one large
// big-endian number.
func (r *reader) words(v *Value, head []byte) ([]byte, found) {
	digits, err := goobject.Slice(head, wordBytes)
	if err != nil || digits.Len > maxWords {
		return nil, unknown
	}
	b, ok := r.fetch(digits.Data, digits.Len*wordBytes)
	if !ok {
		r.absent(v, digits.Data, digits.Len*wordBytes)
		return nil, missing
	}
	b = slices.Clone(b)
	slices.Reverse(b)
	return b, known
}
