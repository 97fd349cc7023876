package note

import (
	"fmt"
	"math"
)

const (
	tableHead  = 16
	maxStrings = math.MaxUint32
)

// encodeTable returns a table: the head that EncodeRegions describes, a record
// of size bytes for each value, and the strings. write appends a record; text
// returns the offset of a string.
func encodeTable[T any](values []T, size int, write func(b []byte, v *T, text func(string) uint32) []byte) []byte {
	st := stringTable{data: make([]byte, 4), seen: map[string]uint32{"": 0}}
	b := make([]byte, 0, tableHead+(size+32)*len(values))
	for _, v := range [...]int{int(Version), len(values), size, tableHead + size*len(values)} {
		b = le.AppendUint32(b, uint32(v))
	}
	text := st.add // one closure for all records
	for i := range values {
		b = write(b, &values[i], text)
	}
	return append(b, st.data...)
}

// decodeTable reads the result of encodeTable. Records may be longer than the
// known part. what is the name of a value for errors.
func decodeTable[T any](kind uint32, what string, desc []byte, least int, read func(v *T, b []byte, text func(uint32) string)) ([]T, error) {
	count, err := head(kind, desc)
	if err != nil {
		return nil, err
	}
	if len(desc) < tableHead {
		return nil, fmt.Errorf("%w: a table in %d bytes", ErrMalformed, len(desc))
	}
	size, off := uint64(le.Uint32(desc[8:])), uint64(le.Uint32(desc[12:]))
	if size < uint64(least) || off > uint64(len(desc)) || tableHead+size*uint64(count) > off {
		return nil, fmt.Errorf("%w: %d records of %d bytes and strings at %d, in %d bytes", ErrMalformed, count, size, off, len(desc))
	}
	st := stringTable{text: string(desc[off:])}
	var bad error
	text := func(at uint32) string {
		s, err := st.at(at)
		if err != nil {
			bad = err
		}
		return s
	}
	out := make([]T, count)
	for i := range out {
		read(&out[i], desc[tableHead+size*uint64(i):], text)
		if bad != nil {
			return nil, fmt.Errorf("%s %d: %w", what, i, bad)
		}
	}
	return out, nil
}

// A stringTable stores each string once, as its length (u32) and its bytes. The
// empty string is at offset 0.
type stringTable struct {
	data []byte // while building
	seen map[string]uint32
	text string // while reading: many records may share one string
}

// add returns s's offset. A table that exceeds its offsets returns the empty
// string; 4 GB of names do not fit into a note anyway.
func (t *stringTable) add(s string) uint32 {
	if at, ok := t.seen[s]; ok {
		return at
	}
	if uint64(len(t.data)+4+len(s)) > maxStrings {
		return 0
	}
	at := uint32(len(t.data))
	t.data = le.AppendUint32(t.data, uint32(len(s)))
	t.data = append(t.data, s...)
	t.seen[s] = at
	return at
}

func (t *stringTable) at(off uint32) (string, error) {
	if uint64(off)+4 > uint64(len(t.text)) {
		return "", fmt.Errorf("%w: string at %d of %d", ErrMalformed, off, len(t.text))
	}
	head := t.text[off : off+4]
	n := uint64(head[0]) | uint64(head[1])<<8 | uint64(head[2])<<16 | uint64(head[3])<<24
	rest := t.text[off+4:]
	if n > uint64(len(rest)) {
		return "", fmt.Errorf("%w: string of %d bytes at %d of %d", ErrMalformed, n, off, len(t.text))
	}
	return rest[:n], nil
}
