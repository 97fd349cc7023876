// Package logring defines the layout of a log ring and reads it, whatever its
// writer did when it died.
//
// A ring is 64 bytes of header and a number of data bytes that is a multiple of
// 8. All integers are little-endian.
//
//	0   magic     u64  "MILOGRNG"
//	8   version   u32  1
//	12  header    u32  64, where the data begins
//	16  size      u64  of the data
//	24  head      u64  bytes handed out to records since the ring was made; a record
//	                   with position p is at p modulo size
//	32  sequence  u64  records since the ring was made
//	40  zeros
//
// A record begins at a position that is a multiple of 8 and may run over the
// end of the data to its start:
//
//	0   position  u64  its own
//	8   length    u32  of all of it, without the padding to 8 that follows
//	12  checksum  u32  CRC-32 (Castagnoli) of the record with this field zero
//	16  time      i64  nanoseconds since 1970, 0 = none
//	24  sequence  u64  counted from 1
//	32  pc        u64  of the call that logged, 0 = none
//	40  level     i32  as in log/slog
//	44  flags     u16
//	46  zero      u16
//	48  message   u32 length and bytes
//	    tokens    to the end
//
// A token is a kind (u8), the length of a key (u16), the key, and a value: 8
// bytes for numbers (two's complement, or IEEE 754), a u32 length and bytes for
// text. A group is a token that opens it, tokens, and one that closes it; the
// record's end closes all.
//
// Writers reserve room by adding to head and only then write. Records before
// head minus size are overwritten, and an unfinished record fails its checksum.
package logring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"
)

// Magic and Version identify a ring.
const (
	Magic   uint64 = 0x474e52474f4c494d
	Version uint32 = 1
)

// Offsets in the header.
const (
	OffMagic    = 0
	OffVersion  = 8
	OffHeader   = 12
	OffSize     = 16
	OffHead     = 24
	OffSequence = 32
	HeaderSize  = 64
)

// Offsets in a record.
const (
	RecPosition = 0
	RecLength   = 8
	RecChecksum = 12
	RecTime     = 16
	RecSequence = 24
	RecPC       = 32
	RecLevel    = 40
	RecFlags    = 44
	RecMessage  = 48
)

// Flags of a record.
const (
	FlagTruncated uint16 = 1 // the record was cut to fit
	FlagPlain     uint16 = 2 // a line written to an io.Writer, without level
)

// Kinds of tokens.
const (
	TokenBool     = 1
	TokenInt      = 2
	TokenUint     = 3
	TokenFloat    = 4
	TokenString   = 5
	TokenDuration = 6 // nanoseconds
	TokenTime     = 7 // nanoseconds since 1970
	TokenOpen     = 8
	TokenClose    = 9 // key of length 0
)

// Checksum returns the checksum of a record, computed with the checksum field
// zero.
func Checksum(record []byte) uint32 {
	return crc32.Checksum(record, crc32.MakeTable(crc32.Castagnoli))
}

var le = binary.LittleEndian

// ErrNotRing reports that bytes are not a ring that this package can read.
var ErrNotRing = errors.New("not a log ring")

// A Record is a log record.
type Record struct {
	Position  uint64
	Sequence  uint64
	Time      time.Time // zero if unknown
	Level     int
	PC        uint64
	Message   string
	Attrs     []Attr
	Truncated bool
	Plain     bool
}

// An Attr is a key with a bool, int64, uint64, float64, string, time.Duration,
// time.Time or, for a group, []Attr.
type Attr struct {
	Key   string
	Value any
}

// Is reports whether a file that begins with head is a ring of the version that
// this package knows.
func Is(head []byte) bool {
	return len(head) >= OffHeader && le.Uint64(head) == Magic && le.Uint32(head[OffVersion:]) == Version
}

// Read returns the complete records of a ring, oldest first. It skips bytes
// that belong to no complete record; lost is their number.
func Read(ring []byte) (records []Record, lost uint64, err error) {
	if len(ring) < HeaderSize || le.Uint64(ring) != Magic {
		return nil, 0, fmt.Errorf("%w: %d bytes", ErrNotRing, len(ring))
	}
	if v := le.Uint32(ring[OffVersion:]); v != Version {
		return nil, 0, fmt.Errorf("%w: version %d, this program reads %d: use a newer meminspect", ErrNotRing, v, Version)
	}
	start, size, head := uint64(le.Uint32(ring[OffHeader:])), le.Uint64(ring[OffSize:]), le.Uint64(ring[OffHead:])
	if start < HeaderSize || start > uint64(len(ring)) || size == 0 || size%8 != 0 || size > uint64(len(ring))-start || head%8 != 0 || head > math.MaxInt64 {
		return nil, 0, fmt.Errorf("%w: %d bytes from %d on, head %d, in %d bytes", ErrNotRing, size, start, head, len(ring))
	}
	data := ring[start : start+size]
	at := uint64(0)
	if head > size {
		at = head - size
	}
	var buf []byte
	for at < head {
		b := record(data, at, head, &buf)
		if b == nil {
			at += 8
			lost += 8
			continue
		}
		r, err := decode(b)
		if err != nil {
			// The checksum is valid, so another kind of writer made it.
			return nil, 0, err
		}
		records = append(records, r)
		at += (uint64(len(b)) + 7) &^ 7
	}
	return records, lost, nil
}

// record returns the bytes of the record at a position, nil if there is no
// complete one.
func record(data []byte, at, head uint64, buf *[]byte) []byte {
	size := uint64(len(data))
	var h [16]byte
	wrapped(h[:], data, at%size)
	length := uint64(le.Uint32(h[RecLength:]))
	if le.Uint64(h[:]) != at || length < RecMessage+4 || length > size || length > head-at {
		return nil
	}
	if uint64(cap(*buf)) < length {
		*buf = make([]byte, length)
	}
	b := (*buf)[:length]
	wrapped(b, data, at%size)
	sum := le.Uint32(b[RecChecksum:])
	le.PutUint32(b[RecChecksum:], 0)
	if Checksum(b) != sum {
		return nil
	}
	return b
}

// wrapped copies from data at an offset, and continues at its start.
func wrapped(p, data []byte, off uint64) {
	n := copy(p, data[off:])
	copy(p[n:], data)
}

func decode(b []byte) (Record, error) {
	r := Record{
		Position:  le.Uint64(b),
		Sequence:  le.Uint64(b[RecSequence:]),
		PC:        le.Uint64(b[RecPC:]),
		Level:     int(int32(le.Uint32(b[RecLevel:]))),
		Truncated: le.Uint16(b[RecFlags:])&FlagTruncated != 0,
		Plain:     le.Uint16(b[RecFlags:])&FlagPlain != 0,
	}
	if ns := int64(le.Uint64(b[RecTime:])); ns != 0 {
		r.Time = time.Unix(0, ns)
	}
	rest := b[RecMessage:]
	var ok bool
	if r.Message, rest, ok = text(rest); !ok {
		return r, fmt.Errorf("%w: message of record %d runs over its end", ErrNotRing, r.Sequence)
	}
	attrs, rest, err := tokens(rest, 0)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: a group is closed that was not open", ErrNotRing)
	}
	r.Attrs = attrs
	return r, err
}

// MaxDepth bounds nested groups: readers reject more.
const MaxDepth = 100

// tokens reads up to the end of a group. As log/slog requires, it omits groups
// without attributes, and puts the attributes of a group without a key into its
// parent.
func tokens(b []byte, depth int) (attrs []Attr, rest []byte, err error) {
	bad := func() ([]Attr, []byte, error) {
		return nil, nil, fmt.Errorf("%w: malformed attribute", ErrNotRing)
	}
	if depth > MaxDepth {
		return bad()
	}
	for len(b) > 0 {
		if len(b) < 3 || len(b) < 3+int(le.Uint16(b[1:])) {
			return bad()
		}
		kind, key := b[0], string(b[3:3+int(le.Uint16(b[1:]))])
		b = b[3+len(key):]
		var value any
		switch kind {
		case TokenClose:
			return attrs, b, nil
		case TokenOpen:
			var group []Attr
			if group, b, err = tokens(b, depth+1); err != nil {
				return nil, nil, err
			}
			if key == "" {
				attrs = append(attrs, group...)
			} else if len(group) > 0 {
				attrs = append(attrs, Attr{key, group})
			}
			continue
		case TokenString:
			s, after, ok := text(b)
			if !ok {
				return bad()
			}
			value, b = s, after
		case TokenBool, TokenInt, TokenUint, TokenFloat, TokenDuration, TokenTime:
			if len(b) < 8 {
				return bad()
			}
			value, b = number(kind, le.Uint64(b)), b[8:]
		default:
			return bad()
		}
		attrs = append(attrs, Attr{key, value})
	}
	return attrs, nil, nil
}

func number(kind byte, n uint64) any {
	switch kind {
	case TokenBool:
		return n != 0
	case TokenInt:
		return int64(n)
	case TokenUint:
		return n
	case TokenFloat:
		return math.Float64frombits(n)
	case TokenDuration:
		return time.Duration(n)
	}
	return time.Unix(0, int64(n))
}

func text(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 4 || uint64(le.Uint32(b)) > uint64(len(b)-4) {
		return "", nil, false
	}
	n := le.Uint32(b)
	return string(b[4 : 4+n]), b[4+n:], true
}
