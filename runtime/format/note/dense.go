package note

import (
	"encoding/binary"
	"fmt"
)

// TypeDenseRegions is the type of a note with the content of TypeRegions in a
// quarter of the space, for cores with many regions. A core has one of the two.
const TypeDenseRegions uint32 = typeBase + 9

// numbers returns a region's numbers, in the order of their columns.
func (r *Region) numbers() [denseNumbers]uint64 {
	return [...]uint64{
		r.ID, r.Addr, r.Size, r.Size - r.Captured, r.TypeAddr, r.Budget, r.Order,
		uint64(r.Kind), uint64(r.Flags), uint64(r.Status), uint64(uint32(r.Depth)),
	}
}

// texts returns pointers to a region's strings, in the order of their columns.
func (r *Region) texts() [denseTexts]*string {
	return [...]*string{&r.Name, &r.Expr, &r.Package, &r.Type, &r.Pos, &r.Note}
}

const (
	denseNumbers = 11
	denseTexts   = 6
	denseLeast   = denseNumbers + denseTexts // minimum bytes of a record
)

// EncodeDenseRegions returns the descriptor: version, count, then for each
// region its difference from the region before it (for the first, from a zero
// region):
//
//   - 11 signed varints (zigzag), each a number's difference (modulo 2^64): id,
//     address, size, bytes not captured, type's address, budget, order, kind,
//     flags, status, depth (as an u32);
//   - 6 strings: name, expr, package, type, pos, note, each an unsigned varint,
//     0 when it is the same, else one more than the number of bytes at its start
//     that are the same; then the number of the bytes that follow, and these.
func EncodeDenseRegions(rs []Region) []byte {
	b := le.AppendUint32(nil, Version)
	b = le.AppendUint32(b, uint32(len(rs)))
	var before Region
	for i := range rs {
		r := rs[i]
		old := before.numbers()
		for k, v := range r.numbers() {
			b = binary.AppendVarint(b, int64(v-old[k]))
		}
		was := before.texts()
		for k, s := range r.texts() {
			b = appendFrontCoded(b, *was[k], *s)
		}
		before = r
	}
	return b
}

func appendFrontCoded(b []byte, before, s string) []byte {
	if s == before {
		return append(b, 0)
	}
	n := 0
	for n < len(s) && n < len(before) && s[n] == before[n] {
		n++
	}
	b = binary.AppendUvarint(b, uint64(n)+1)
	b = binary.AppendUvarint(b, uint64(len(s)-n))
	return append(b, s[n:]...)
}

// DecodeDenseRegions reads the result of EncodeDenseRegions.
func DecodeDenseRegions(desc []byte) ([]Region, error) {
	count, err := head(TypeDenseRegions, desc)
	if err != nil {
		return nil, err
	}
	d := denseReader{rest: desc[8:], left: 1<<20 + 64*len(desc)}
	if uint64(count) > uint64(len(d.rest))/denseLeast {
		return nil, fmt.Errorf("%w: %d regions in %d bytes", ErrMalformed, count, len(d.rest))
	}
	rs := make([]Region, 0, count)
	var r Region
	for i := range count {
		n := r.numbers()
		for k := range n {
			n[k] += uint64(d.signed())
		}
		r.ID, r.Addr, r.Size, r.Captured, r.TypeAddr, r.Budget, r.Order = n[0], n[1], n[2], n[2]-n[3], n[4], n[5], n[6]
		r.Kind, r.Flags, r.Status, r.Depth = uint32(n[7]), uint32(n[8]), Status(uint32(n[9])), int32(uint32(n[10]))
		for _, s := range r.texts() {
			*s = d.frontCoded(*s)
		}
		if d.bad {
			return nil, fmt.Errorf("%w: region %d", ErrMalformed, i)
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// A denseReader reads a descriptor.
type denseReader struct {
	rest []byte
	left int // limit for bytes of strings still to be created
	bad  bool
}

func (d *denseReader) signed() int64 {
	v, n := binary.Varint(d.rest)
	return d.took(n, v)
}

func (d *denseReader) took(n int, v int64) int64 {
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *denseReader) unsigned() uint64 {
	v, n := binary.Uvarint(d.rest)
	return uint64(d.took(n, int64(v)))
}

func (d *denseReader) frontCoded(before string) string {
	same := d.unsigned()
	if same == 0 || d.bad {
		return before
	}
	same--
	more := d.unsigned()
	if same > uint64(len(before)) || more > uint64(len(d.rest)) || same+more > uint64(max(d.left, 0)) {
		d.bad = true
		return ""
	}
	d.left -= int(same + more)
	s := before[:same] + string(d.rest[:more])
	d.rest = d.rest[more:]
	return s
}
