// Package signature names the bug that ended a program, so that two cores of one
// bug have the same name: by the cause and the functions of the goroutine that
// ended it, or by what its blocked goroutines do. The name is the same for builds
// with other lines, flags, paths and Go releases. docs/reference/signature.md
// defines it.
package signature

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/lazyexp"
)

// version is that of the rules. IDs of different versions are not comparable.
const version = "m1"

// A Signature names a bug. The zero value is that of a program that did not end.
type Signature struct {
	ID    string `json:"id"`    // m1- and the first 12 hexadecimal digits of SHA-256("m1 " + Title)
	Title string `json:"title"` // the cause and the functions
}

// maxCalls is the number of functions that count.
const maxCalls = 8

// OfCalls returns the signature of an end with this cause in a goroutine with calls
// of these functions, the innermost first, without those of the standard library.
func OfCalls(cause string, functions []string) Signature {
	var names []string
	for _, f := range functions {
		// A function counts once, so that neither the depth of a recursion nor the
		// inlining of a closure into its function matters.
		if name := Normalize(f); !slices.Contains(names, name) && len(names) < maxCalls {
			names = append(names, name)
		}
	}
	return of(cause, names, " < ")
}

// OfBlocked returns the signature of an end with this cause in which these functions
// block goroutines.
func OfBlocked(cause string, functions []string) Signature {
	var names []string
	for _, f := range functions {
		names = append(names, Normalize(f))
	}
	slices.Sort(names)
	return of(cause, slices.Compact(names), ", ")
}

func of(cause string, names []string, separator string) Signature {
	title := cause
	if len(names) > 0 {
		title += " in " + strings.Join(names, separator)
	}
	hash := sha256.Sum256([]byte(version + " " + title))
	return Signature{ID: version + "-" + hex.EncodeToString(hash[:6]), Title: title}
}

// String returns the form in which a core carries the signature, "" for the zero
// value.
func (s Signature) String() string {
	if s.ID == "" {
		return ""
	}
	return s.ID + " " + s.Title
}

var stored = lazyexp.New(`^(m[0-9]{1,4}-[0-9a-f]{12}) ([^\x00-\x1f\x7f]+)$`)

const maxTitle = 4 << 10 // bytes

// Parse reads what String returned. It reports whether that is a signature.
func Parse(text string) (Signature, bool) {
	m := stored().FindStringSubmatch(text)
	if m == nil || len(m[2]) > maxTitle {
		return Signature{}, false
	}
	return Signature{ID: m[1], Title: m[2]}, true
}
