package note

import (
	"encoding/binary"
	"fmt"
)

// TypeMarked is the type of the note that lists []MarkedRange.
const TypeMarked uint32 = typeBase + 8

// A MarkedRange is a part of a segment that is filled with marks and does not
// contain program memory. Debuggers show it as -6510615555426900571; readers of
// this note can explain it. Segments that are marked as a whole are not listed.
type MarkedRange struct {
	Addr uint64
	Size uint64
	Why  MarkReason
}

// A MarkReason is the reason why a range is marked.
type MarkReason uint8

// Reasons.
const (
	MarkedGap      MarkReason = 0 // not requested; between captured ranges
	MarkedExcluded MarkReason = 1 // an exclusion covers it
	MarkedUnknown  MarkReason = 2 // its type is unknown, and exclusions exist
	MarkedHole     MarkReason = 3 // it could not be read
)

// EncodeMarked returns the descriptor: version, count, then for each range, by
// address, two unsigned varints: the distance from the end of the range before
// it (for the first, its address), and four times its size plus the reason.
// Ranges must be sorted and must not overlap.
func EncodeMarked(rs []MarkedRange) []byte {
	b := le.AppendUint32(nil, Version)
	b = le.AppendUint32(b, uint32(len(rs)))
	end := uint64(0)
	for _, r := range rs {
		b = binary.AppendUvarint(b, r.Addr-end)
		b = binary.AppendUvarint(b, r.Size<<2|uint64(r.Why&3))
		end = r.Addr + r.Size
	}
	return b
}

// DecodeMarked reads the result of EncodeMarked. The ranges it returns are
// sorted and do not overlap.
func DecodeMarked(desc []byte) ([]MarkedRange, error) {
	count, err := head(TypeMarked, desc)
	if err != nil {
		return nil, err
	}
	rest := desc[8:]
	if uint64(count) > uint64(len(rest))/2 {
		return nil, fmt.Errorf("%w: %d marked ranges in %d bytes", ErrMalformed, count, len(rest))
	}
	rs := make([]MarkedRange, 0, count)
	end := uint64(0)
	for i := range count {
		gap, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil, fmt.Errorf("%w: marked range %d", ErrMalformed, i)
		}
		size, m := binary.Uvarint(rest[n:])
		why := MarkReason(size & 3)
		size >>= 2
		if m <= 0 || end+gap < end || end+gap+size < end+gap {
			return nil, fmt.Errorf("%w: marked range %d", ErrMalformed, i)
		}
		rest = rest[n+m:]
		rs = append(rs, MarkedRange{end + gap, size, why})
		end += gap + size
	}
	return rs, nil
}
