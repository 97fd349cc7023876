package crashtext

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/request"
)

// shortest is the length of the shortest text that Censor replaces: shorter ones
// are in any message by chance.
const shortest = 4

// Redacted is what Censor puts in the place of an excluded value.
const Redacted = "[redacted]"

// Censor returns a message in which every excluded value is replaced, in the
// forms in which Go prints it: plain, quoted, escaped, hexadecimal, as a number.
// It returns "" if there are values that cannot be replaced: some are not known,
// or shorter than 4 bytes.
func Censor(message string, excluded *request.Excluded) string {
	if excluded.Partial {
		return ""
	}
	var forms []string
	for _, v := range excluded.Values {
		text := bytes.Trim(v.Data, "\x00")
		if n := len(text); n > 0 && n < shortest && (v.Reached || len(v.Data) < shortest) {
			return ""
		}
		forms = append(forms, textForms(text)...)
		if !v.Reached {
			forms = append(forms, numberForms(v.Data)...)
		}
	}
	// The longest first: one may be a part of another.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, form := range forms {
		message = strings.ReplaceAll(message, form, Redacted)
	}
	return message
}

// textForms returns the forms in which a message has bytes, whole, or one of the
// parts between zeros and ends of lines, at which printing stops.
func textForms(text []byte) (forms []string) {
	parts := bytes.FieldsFunc(text, func(r rune) bool { return r == 0 || r == '\n' })
	for _, part := range append(parts, text) {
		if len(part) < shortest {
			continue
		}
		forms = append(forms, string(part), unquoted(strconv.Quote(string(part))), unquoted(strconv.QuoteToASCII(string(part))),
			hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)), strings.Trim(fmt.Sprintf("%d", part), "[]"),
			base64.RawStdEncoding.EncodeToString(part), base64.RawURLEncoding.EncodeToString(part))
	}
	return forms
}

func unquoted(s string) string { return s[1 : len(s)-1] }

// numberForms returns the forms in which a message has the words of a value as
// numbers.
func numberForms(data []byte) (forms []string) {
	const maxNumbers = 64 // bytes of a value that is read as numbers
	if len(data) > maxNumbers {
		return nil
	}
	add := func(form string) {
		if len(form) >= shortest {
			forms = append(forms, form)
		}
	}
	integer := func(unsigned uint64, signed int64) {
		add(strconv.FormatUint(unsigned, 10))
		add(strconv.FormatInt(signed, 10))
		add(strconv.FormatUint(unsigned, 16))
		add(strings.ToUpper(strconv.FormatUint(unsigned, 16)))
	}
	for at := 0; at+4 <= len(data); at += 4 {
		w := binary.LittleEndian.Uint32(data[at:])
		integer(uint64(w), int64(int32(w)))
		add(strconv.FormatFloat(float64(math.Float32frombits(w)), 'g', -1, 32))
	}
	for at := 0; at+8 <= len(data); at += 8 {
		w := binary.LittleEndian.Uint64(data[at:])
		integer(w, int64(w))
		add(strconv.FormatFloat(math.Float64frombits(w), 'g', -1, 64))
	}
	return forms
}
