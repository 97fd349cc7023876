// Package scan looks for byte patterns in a stream, forwards and reversed: the
// check that a core does not hold what must not be in it.
package scan

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// A Pattern is what is looked for.
type Pattern struct {
	Name  string // as it was asked for
	Bytes []byte
}

// Shortest is the minimum length of a pattern. Shorter ones occur in any file.
const Shortest = 4

// longest bounds a pattern read from a file.
const longest = 1 << 20

// ErrPattern is wrapped by the errors about patterns.
var ErrPattern = errors.New("bad pattern")

// Parse parses a pattern from the command line: text; hex:DIGITS for other
// bytes; @FILE for the contents of a file without its last newline, so that a
// secret need not be among a command's arguments.
func Parse(arg string) (Pattern, error) {
	p := Pattern{Name: arg}
	switch {
	case strings.HasPrefix(arg, "hex:"):
		b, err := hex.DecodeString(strings.TrimPrefix(arg, "hex:"))
		if err != nil {
			return Pattern{}, fmt.Errorf("%w %q: %w", ErrPattern, arg, err)
		}
		p.Bytes = b
	case strings.HasPrefix(arg, "@"):
		f, err := os.Open(arg[1:])
		if err != nil {
			return Pattern{}, fmt.Errorf("%w: %w", ErrPattern, err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, longest+1))
		if err != nil {
			return Pattern{}, fmt.Errorf("%w: %w", ErrPattern, err)
		}
		if len(b) > longest {
			return Pattern{}, fmt.Errorf("%w: %s is longer than %d bytes", ErrPattern, arg[1:], longest)
		}
		p.Bytes = bytes.TrimSuffix(b, []byte("\n"))
	default:
		p.Bytes = []byte(arg)
	}
	if len(p.Bytes) < Shortest {
		return Pattern{}, fmt.Errorf("%w %q: %d bytes are too few, any file holds them; give at least %d", ErrPattern, arg, len(p.Bytes), Shortest)
	}
	return p, nil
}

// A Hit is an occurrence of a pattern.
type Hit struct {
	Pattern  int   // index of the pattern
	Offset   int64 // in the stream
	Reversed bool
}

// needle is a pattern in one direction.
type needle struct {
	bytes    []byte
	pattern  int
	reversed bool
}

// Reader calls found for every occurrence of a pattern in r, in the order of
// offsets within each chunk that is read. It uses two chunks of memory however
// long r is. It returns the number of bytes read.
func Reader(r io.Reader, patterns []Pattern, found func(Hit)) (int64, error) {
	var needles []needle
	overlap := 0
	for i, p := range patterns {
		needles = append(needles, needle{bytes: p.Bytes, pattern: i})
		back := slices.Clone(p.Bytes)
		slices.Reverse(back)
		if !bytes.Equal(back, p.Bytes) {
			needles = append(needles, needle{bytes: back, pattern: i, reversed: true})
		}
		overlap = max(overlap, len(p.Bytes)-1)
	}
	buf := make([]byte, max(1<<20, 2*overlap))
	kept, start := 0, int64(0) // bytes at the head of buf that were searched before
	for {
		n, err := io.ReadFull(r, buf[kept:])
		have := buf[:kept+n]
		var hits []Hit
		for _, needle := range needles {
			for at := 0; ; at++ {
				i := bytes.Index(have[at:], needle.bytes)
				if i < 0 {
					break
				}
				at += i
				if at+len(needle.bytes) > kept { // else it was found before
					hits = append(hits, Hit{needle.pattern, start + int64(at), needle.reversed})
				}
			}
		}
		slices.SortFunc(hits, func(a, b Hit) int { return int(a.Offset - b.Offset) })
		for _, hit := range hits {
			found(hit)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return start + int64(len(have)), nil
		}
		if err != nil {
			return start + int64(len(have)), err
		}
		tail := min(overlap, len(have))
		copy(buf, have[len(have)-tail:])
		start += int64(len(have) - tail)
		kept = tail
	}
}
