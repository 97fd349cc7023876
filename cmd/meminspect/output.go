package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/meminspect/meminspect/internal/plainfile"
)

// An output is standard output or standard error. It escapes control characters,
// invalid UTF-8 and characters that reorder text, because names and values come
// from programs and files that are not trusted. In a JSON string the escape is
// JSON's own. It keeps the first write error, so that run reports it whatever the
// command did with the error.
type output struct {
	w    io.Writer
	err  error
	rest []byte // the first bytes of a character that the next write completes
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	text := p
	if len(o.rest) > 0 {
		text, o.rest = slices.Concat(o.rest, p), nil
	}
	if n := incomplete(text); n > 0 {
		text, o.rest = text[:len(text)-n], append([]byte(nil), text[len(text)-n:]...)
	}
	if err := o.write(escape(text)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (o *output) write(p []byte) error {
	_, err := o.w.Write(p)
	if err != nil && o.err == nil {
		o.err = err
	}
	return err
}

// finish writes the rest of a character that was never completed.
func (o *output) finish() {
	if len(o.rest) > 0 {
		o.write(escape(o.rest)) //nolint:errcheck // kept in o.err
	}
}

// incomplete returns the number of bytes at the end of p that begin an
// incomplete character.
func incomplete(p []byte) int {
	for n := 1; n <= min(len(p), utf8.UTFMax-1); n++ {
		if utf8.RuneStart(p[len(p)-n]) {
			if utf8.FullRune(p[len(p)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}

// escape returns text with the escapes that [output] makes.
func escape(text []byte) []byte {
	for i := 0; i < len(text); {
		if b := text[i]; ' ' <= b && b <= '~' || b == '\n' || b == '\t' { // nearly all
			i++
			continue
		}
		c, size := utf8.DecodeRune(text[i:])
		if unsafeRune(c, size) {
			return escapeFrom(text, i)
		}
		i += size
	}
	return text
}

func escapeFrom(text []byte, i int) []byte {
	out := append(make([]byte, 0, len(text)+16), text[:i]...)
	for i < len(text) {
		c, size := utf8.DecodeRune(text[i:])
		switch {
		case !unsafeRune(c, size):
			out = append(out, text[i:i+size]...)
		case c == utf8.RuneError:
			out = fmt.Appendf(out, `\x%02x`, text[i])
		default:
			out = fmt.Appendf(out, `\u%04x`, c)
		}
		i += size
	}
	return out
}

// unsafeRune reports whether a character would do more than appear in its
// place.
func unsafeRune(c rune, size int) bool {
	switch c {
	case '\n', '\t':
		return false
	case utf8.RuneError:
		return size == 1
	case '\u2028', '\u2029': // line and paragraph separator
		return true
	}
	return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)
}

// raw returns a command's stream without escapes: for cores, and for intended
// cursor movements.
func raw(stream io.Writer) io.Writer {
	if o, ok := stream.(*output); ok {
		return rawOutput{o}
	}
	return stream
}

// A rawOutput writes to an output without escapes.
type rawOutput struct{ *output }

// Write implements io.Writer.
func (r rawOutput) Write(p []byte) (int, error) {
	if err := r.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// isTerminal reports whether a stream of a command is a terminal, or is shown on one.
func isTerminal(stream any) bool {
	if w, ok := stream.(io.Writer); ok {
		if shellWidth(w) > 0 {
			return true
		}
		stream = unwrapped(w)
	}
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// unwrapped returns the stream that an output writes to, for a child process:
// it gets a terminal as a terminal.
func unwrapped(w io.Writer) io.Writer {
	switch o := w.(type) {
	case *output:
		return o.w
	case rawOutput:
		return o.w
	}
	return w
}

// writeWhole writes a file under another name first, so that a file under its
// own name is complete. The other name is new: others may write to the folder. It writes
// in place to what [plainfile.InPlace] reports: as root, a rename would remove
// /dev/null for every process.
func writeWhole(path string, write func(io.Writer) error) error {
	switch info, err := os.Stat(path); {
	case err == nil && plainfile.InPlace(path, info.Mode()):
	case err != nil || info.Mode().IsRegular():
		return writeBeside(path, write)
	case info.IsDir():
		return fmt.Errorf("%s is a directory: name a file in it", path)
	default: // a disk, a socket
		return fmt.Errorf("%s is not a regular file: name another", path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// writeBeside writes a file next to path, and renames it to path when it is complete.
func writeBeside(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
