// Package marks makes byte strings that a test program plants in its memory, and
// finds them in files.
package marks

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf16"
)

const length = 20

// Of returns the mark with that name: letters that are in no executable, since
// they are computed. A caller's frame does not have it.
//
//go:noinline
func Of(name string) []byte {
	x := uint64(0xcbf29ce484222325)
	for i := range len(name) {
		x = (x ^ uint64(name[i])) * 0x100000001b3
	}
	mark := make([]byte, length)
	for i := range mark {
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		mark[i] = 'a' + byte(x>>32)%26
	}
	return mark
}

// Forms are the forms in which Find looks for a mark.
var Forms = []Form{
	{"plain", slices.Clone[[]byte]},
	{"UTF-16LE", func(mark []byte) []byte { return utf16Of(mark, binary.LittleEndian) }},
	{"UTF-16BE", func(mark []byte) []byte { return utf16Of(mark, binary.BigEndian) }},
}

// A Form writes a mark in another encoding.
type Form struct {
	Name  string
	Write func(mark []byte) []byte
}

func utf16Of(mark []byte, order binary.AppendByteOrder) (b []byte) {
	for _, unit := range utf16.Encode([]rune(string(mark))) {
		b = order.AppendUint16(b, unit)
	}
	return b
}

// Find returns the form in which data has the mark, also backwards, or "".
func Find(data, mark []byte) string {
	for _, form := range Forms {
		text := form.Write(mark)
		if bytes.Contains(data, text) {
			return form.Name
		}
		slices.Reverse(text)
		if bytes.Contains(data, text) {
			return form.Name + ", reversed"
		}
	}
	return ""
}
