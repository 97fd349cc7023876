package corefile

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Extension ends the name of a core that is neither compressed nor encrypted.
const Extension = ".core"

// timeLayout is the time in a name. Names of one program sort by time.
const timeLayout = "20060102T150405.000Z"

// Bounds of the parts of a name, in bytes. A file name has at most 255, and the
// name of a partial file is longer than the final one.
const (
	maxProgram = 64
	maxReason  = 40
)

// Name returns the file name of a core: PROGRAM.PID.UTCTIME.REASON.core.
// PROGRAM is the last element of program's path. In PROGRAM and REASON, each run
// of characters other than ASCII letters, digits and underscores becomes one
// dash.
func Name(program string, pid int, when time.Time, reason string) string {
	return fmt.Sprintf("%s.%d.%s.%s%s", clean(path.Base(program), maxProgram), pid,
		when.UTC().Format(timeLayout), clean(reason, maxReason), Extension)
}

// A Title is the content of a core's name.
type Title struct {
	Program string // as [Name] writes it
	PID     int
	When    time.Time // UTC
	Reason  string    // as [Name] writes it, with the number of a duplicate
}

// ParseName reads a name that [Name] returns, with or without the number of a
// duplicate and the suffix of a [Form].
func ParseName(name string) (Title, bool) {
	parts := strings.Split(name, ".")
	if slices.Index(parts, Extension[1:]) != 5 { // PROGRAM.PID.SECONDS.MILLIZ.REASON.core
		return Title{}, false
	}
	when, err := time.Parse(timeLayout, parts[2]+"."+parts[3])
	if err != nil {
		return Title{}, false
	}
	pid, err := strconv.Atoi(parts[1])
	if err != nil || pid < 0 {
		return Title{}, false
	}
	return Title{Program: parts[0], PID: pid, When: when, Reason: parts[4]}, true
}

// IsName reports whether [ParseName] reads the name.
func IsName(name string) bool {
	_, ok := ParseName(name)
	return ok
}

// Numbered returns the n-th alternative of a name that is taken: the number
// follows the reason.
func Numbered(name string, n int) string {
	base, suffix, _ := strings.Cut(name, Extension)
	return fmt.Sprintf("%s-%d%s%s", base, n, Extension, suffix)
}

// clean returns s in characters that are safe in a file name everywhere.
func clean(s string, limit int) string {
	var b strings.Builder
	dash := false
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(r)
			dash = false
		default:
			dash = true
		}
		if b.Len() >= limit {
			break
		}
	}
	if b.Len() == 0 {
		return "unnamed"
	}
	return strings.TrimRight(b.String()[:min(b.Len(), limit)], "-")
}
