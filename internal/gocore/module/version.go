package module

import (
	"fmt"
	"strconv"
	"strings"
)

// A Version is the Go release that built a program, as far as layouts depend on
// it.
type Version struct {
	Minor       int    // 27 of go1.27.3
	Experiments string // what follows "X:" in the version, comma-separated
	Text        string // the whole, as the program has it
}

// The releases whose layouts are known.
const (
	OldestMinor = 21
	NewestMinor = 27
)

// ParseVersion reads what runtime.Version returns in a program: "go1.26.8",
// "go1.27rc1-X:mapsplitgroup", "devel go1.27-0123abcd Mon …". Experiments follow
// a blank until Go 1.25 and a hyphen from Go 1.26 on. A release whose layouts are
// not known is an error.
func ParseVersion(text string) (Version, error) {
	v := Version{Text: text}
	words := strings.Fields(text)
	for _, w := range words {
		if x, ok := strings.CutPrefix(w, "X:"); ok {
			v.Experiments = x
		} else if _, x, ok := strings.Cut(w, "-X:"); ok {
			v.Experiments = x
		}
	}
	for _, w := range words {
		rest, ok := strings.CutPrefix(w, "go1.")
		if !ok {
			continue
		}
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		minor, err := strconv.Atoi(rest[:digits])
		if err != nil {
			break
		}
		v.Minor = minor
		switch {
		case minor < OldestMinor:
			return v, fmt.Errorf("built with %s: programs of Go 1.%d to 1.%d can be read", text, OldestMinor, NewestMinor)
		case minor > NewestMinor:
			return v, fmt.Errorf("built with %s, which is newer than this tool knows (Go 1.%d to 1.%d): update meminspect", text, OldestMinor, NewestMinor)
		}
		return v, nil
	}
	return v, fmt.Errorf("built with a Go that calls itself %q: which release its layouts follow is not known", text)
}

// HasExperiment reports whether the program was built with that GOEXPERIMENT
// on.
func (v Version) HasExperiment(name string) bool {
	for _, x := range strings.Split(v.Experiments, ",") {
		if x == name {
			return true
		}
	}
	return false
}
