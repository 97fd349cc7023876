package signature

import (
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/lazyexp"
)

var (
	// The compiler names what it makes of a part of a function: a function literal
	// F.func1, the call of a go or defer statement F.gowrap1, the body of a loop over a
	// function F-range1, and the second init of a package init.1.
	numbered = lazyexp.New(`^(?:func|gowrap|deferwrap)?[0-9]*$`)
	suffix   = lazyexp.New(`-(?:fm|range[0-9]+)`)
	// A major version in an import path.
	major = lazyexp.New(`(?:/v[0-9]+|%2ev[0-9]+)$`)
)

// Normalize returns a function's name without what differs between builds of one
// source: type arguments, numbers of function literals, wrappers, vendor folders and
// major versions of modules.
func Normalize(function string) string {
	name := withoutTypeArguments(function)
	slash := strings.LastIndexByte(name, '/') + 1
	last, rest, ok := strings.Cut(name[slash:], ".")
	if !ok {
		return name
	}
	return normalizePath(name[:slash]+last) + "." + normalizeSymbol(rest)
}

// withoutTypeArguments removes what is in brackets.
func withoutTypeArguments(name string) string {
	var b strings.Builder
	depth := 0
	for _, c := range name {
		switch {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case depth == 0:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func normalizePath(path string) string {
	if i := strings.LastIndex(path, "/vendor/"); i >= 0 {
		path = path[i+len("/vendor/"):]
	}
	var kept []string
	for i, element := range strings.Split(path, "/") {
		if i > 0 {
			element = strings.TrimPrefix(major().ReplaceAllString("/"+element, ""), "/")
		}
		if element != "" {
			kept = append(kept, element)
		}
	}
	return strings.Join(kept, "/")
}

// normalizeSymbol normalizes the part of a name that follows the package. Of a
// function literal it keeps the function whose source has it: if that was inlined,
// the names of others precede it.
func normalizeSymbol(symbol string) string {
	parts := strings.Split(suffix().ReplaceAllString(symbol, ""), ".")
	whole := len(parts)
	for len(parts) > 1 && numbered().MatchString(parts[len(parts)-1]) {
		parts = parts[:len(parts)-1]
	}
	if len(parts) < whole {
		n := 1
		if len(parts) > 1 && strings.HasPrefix(parts[len(parts)-2], "(*") {
			n = 2
		}
		parts = parts[len(parts)-n:]
	}
	if slices.Equal(parts, []string{"glob"}) {
		return "init" // Go 1.20 and earlier
	}
	return strings.Join(parts, ".")
}
