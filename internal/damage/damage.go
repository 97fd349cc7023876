// Package damage damages files for tests of readers: what a reader is given may be cut
// short, overwritten, or made by an attacker.
package damage

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"unicode"
	"unicode/utf8"
)

// markup is a text that a browser must not take for a part of its page.
const markup = "</script><img src=x onerror=document.title='owned'>"

// File returns the contents of a file with one to three places damaged.
func File(contents []byte, r *rand.Rand) []byte {
	b := slices.Clone(contents)
	for range 1 + r.IntN(3) {
		if len(b) < 16 {
			return b
		}
		b = once(b, r)
	}
	return b
}

// interesting are words that sizes, counts and offsets are replaced by.
var interesting = []uint64{
	0, 1, 7, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 40, 1 << 46, 1 << 47, 1 << 62, 1<<63 - 1, 1 << 63, ^uint64(0),
}

// controls are texts that must not reach a terminal or JSON unescaped.
var controls = []string{markup, "\x1b[2J\x1b]0;x\a", "\u009b2J", "\x9b2J", "\u202eabc\u2066", "a\x00b\r\n\x7f", "\xff\xfe", "\u2028", "\"},{\""}

func once(b []byte, r *rand.Rand) []byte {
	at := place(b, r)
	word := at &^ 7
	switch r.IntN(10) {
	case 0: // a bit
		b[at] ^= 1 << r.IntN(8)
	case 1: // a byte
		b[at] = byte(r.Uint32())
	case 2, 3, 4: // a word
		if word+8 <= len(b) {
			binary.LittleEndian.PutUint64(b[word:], interesting[r.IntN(len(interesting))]+uint64(r.IntN(3))-1)
		}
	case 5: // half a word
		if half := at &^ 3; half+4 <= len(b) {
			binary.LittleEndian.PutUint32(b[half:], uint32(interesting[r.IntN(len(interesting))]))
		}
	case 6: // a word from elsewhere: a pointer that leads to another object
		if from := place(b, r) &^ 7; word+8 <= len(b) && from+8 <= len(b) {
			copy(b[word:word+8], b[from:])
		}
	case 7: // text
		copy(b[text(b, at):], controls[r.IntN(len(controls))])
	case 8: // some bytes less, or twice
		n := min(1+r.IntN(64), len(b)-at)
		if r.IntN(2) == 0 {
			return slices.Delete(b, at, at+n)
		}
		return slices.Insert(b, at, slices.Clone(b[at:at+n])...)
	case 9: // cut short
		return b[:at]
	}
	return b
}

// place returns an offset. Half of them are in the first pages, where headers are.
func place(b []byte, r *rand.Rand) int {
	if r.IntN(2) == 0 {
		return r.IntN(min(len(b), 1<<uint(6+r.IntN(9))))
	}
	return r.IntN(len(b))
}

// text returns the offset of the first run of letters at or after at, or at.
func text(b []byte, at int) int {
	letters := 0
	for i := at; i < len(b); i++ {
		if !unicode.IsLetter(rune(b[i])) || b[i] >= utf8.RuneSelf {
			letters = 0
		} else if letters++; letters == 6 {
			return i - 5
		}
	}
	return at
}
