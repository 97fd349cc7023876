package note

import (
	"encoding/binary"
	"fmt"
)

// Types of the notes that list []Extent.
const (
	// TypeTorn lists memory that changed while it was read: its values may be from
	// another moment than those around them.
	TypeTorn uint32 = typeBase + 13

	// TypeSkeletons lists stacks of which only addresses are kept: all other words
	// were overwritten with the fill pattern.
	TypeSkeletons uint32 = typeBase + 14
)

// An Extent is a range of memory.
type Extent struct{ Addr, Size uint64 }

// EncodeExtents returns the descriptor: version, count, then for each extent,
// by address, two unsigned varints: the distance from the end of the extent
// before it (for the first, its address), and its size. Extents must be sorted
// and must not overlap.
func EncodeExtents(es []Extent) []byte {
	b := le.AppendUint32(nil, Version)
	b = le.AppendUint32(b, uint32(len(es)))
	end := uint64(0)
	for _, e := range es {
		b = binary.AppendUvarint(b, e.Addr-end)
		b = binary.AppendUvarint(b, e.Size)
		end = e.Addr + e.Size
	}
	return b
}

// DecodeExtents reads the result of EncodeExtents from a note of type kind. The
// extents it returns are sorted and do not overlap.
func DecodeExtents(kind uint32, desc []byte) ([]Extent, error) {
	count, err := head(kind, desc)
	if err != nil {
		return nil, err
	}
	rest := desc[8:]
	if uint64(count) > uint64(len(rest))/2 {
		return nil, fmt.Errorf("%w: %d extents in %d bytes", ErrMalformed, count, len(rest))
	}
	es := make([]Extent, 0, count)
	end := uint64(0)
	for i := range count {
		gap, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil, fmt.Errorf("%w: extent %d", ErrMalformed, i)
		}
		size, m := binary.Uvarint(rest[n:])
		if m <= 0 || end+gap < end || end+gap+size < end+gap {
			return nil, fmt.Errorf("%w: extent %d", ErrMalformed, i)
		}
		rest = rest[n+m:]
		es = append(es, Extent{end + gap, size})
		end += gap + size
	}
	return es, nil
}
