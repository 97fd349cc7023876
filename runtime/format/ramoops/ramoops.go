// Package ramoops defines the layout of Linux's ramoops memory (pstore) and
// reads it. It consists of zones, each a persistent_ram_buffer.
//
//	0   sig    u32  0x43474244, "DBGC"
//	4   start  u32  where the next byte goes
//	8   size   u32  bytes that are valid
//	12  data   to the zone's end
//
// A zone is a ring: when size is all there is room for, the oldest byte is at
// start. Dump records come first, then the console, ftrace and pmsg. A dump
// record begins "====<seconds>.<microseconds>-D\n" (D: plain, C: compressed);
// there is no error correction here.
//
// This project adds two conventions that stay compatible. A writer fills a
// dump's data while its size is 0 and sets the size last, so that a writer that
// died leaves a record that readers report as torn. The Go runtime writes a
// zone for crash text with plain writes to the file: its size stays 0, and its
// data ends at the first NUL or at the end of the file.
//
// Source: Linux fs/pstore/ram_core.c and ram.c.
package ramoops

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Signature begins a zone.
const Signature uint32 = 0x43474244

// Is reports whether a file that begins with head begins with a zone.
func Is(head []byte) bool { return len(head) >= OffData && le.Uint32(head) == Signature }

// Offsets in a zone.
const (
	OffSignature = 0
	OffStart     = 4
	OffSize      = 8
	OffData      = 12
)

// PageSize is the alignment of zones.
const PageSize = 4096

// A Kind is the purpose of a zone, as far as its content shows it.
type Kind int

// Kinds of zones.
const (
	Empty Kind = iota
	Dump
	Text  // console, ftrace or pmsg
	Crash // written by the Go runtime as it died
)

func (k Kind) String() string { return [...]string{"empty", "dump", "text", "crash"}[k] }

// A Zone is a zone of a file.
type Zone struct {
	Kind       Kind
	Offset     int64
	Capacity   int       // of its data, in bytes
	Text       string    // oldest first; for a dump without its first line
	When       time.Time // of a dump
	Compressed bool      // a dump whose text is compressed
	Torn       bool      // its writer did not finish
}

// ErrNotRamoops reports that a file has no zone.
var ErrNotRamoops = errors.New("no ramoops zone")

var le = binary.LittleEndian

// Read returns the zones of a memory image. The image does not record where
// zones begin, so Read searches for their signature at the start of each page.
// A signature inside text is recognized by what follows it, which is not a
// valid header.
func Read(b []byte) ([]Zone, error) {
	var starts []int
	end := 0 // end of the last zone's text
	for at := 0; at+OffData <= len(b); at += PageSize {
		if le.Uint32(b[at:]) != Signature {
			continue
		}
		n, ok := extent(b[at:])
		if at < end && !ok {
			continue
		}
		starts, end = append(starts, at), at+OffData+n
	}
	if len(starts) == 0 {
		return nil, fmt.Errorf("%w in %d bytes", ErrNotRamoops, len(b))
	}
	zones := make([]Zone, 0, len(starts))
	for i, at := range starts {
		end := len(b)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		zones = append(zones, zone(b[at:end], int64(at)))
	}
	return zones, nil
}

// extent returns the length of the text of the zone at the start of b, and
// whether its header is valid.
func extent(b []byte) (n int, ok bool) {
	start, size, data := le.Uint32(b[OffStart:]), le.Uint32(b[OffSize:]), b[OffData:]
	switch {
	case size == 0:
		if n = bytes.IndexByte(data, 0); n < 0 {
			n = len(data)
		}
		return n, start == 0
	case uint64(size) > uint64(len(data)) || start > size:
		return 0, false
	}
	return int(size), true
}

func zone(b []byte, at int64) Zone {
	start, size, data := le.Uint32(b[OffStart:]), le.Uint32(b[OffSize:]), b[OffData:]
	z := Zone{Offset: at, Capacity: len(data)}
	n, ok := extent(b)
	switch {
	case size == 0:
		return unfinished(z, data[:n])
	case !ok:
		z.Kind, z.Torn = Text, true // the kernel discards such a zone
		return z
	}
	text := data[:size]
	if int(size) == len(data) {
		// In a full ring, the first record has been cut.
		text = append(bytes.Clone(data[start:]), data[:start]...)
	}
	if when, compressed, rest, ok := dumpHeader(text); ok {
		z.Kind, z.When, z.Compressed, z.Text = Dump, when, compressed, string(rest)
		return z
	}
	z.Kind = Text
	z.Text, z.Torn = lines(text, int(size) == len(data))
	return z
}

// unfinished returns a zone whose size is 0 although it has text.
func unfinished(z Zone, text []byte) Zone {
	if len(text) == 0 {
		return z
	}
	if when, compressed, rest, ok := dumpHeader(text); ok || bytes.HasPrefix(text, []byte("====")) {
		z.Kind, z.When, z.Compressed, z.Text, z.Torn = Dump, when, compressed, string(rest), true
		return z
	}
	z.Kind, z.Text = Crash, string(text)
	return z
}

// lines drops incomplete lines: the first of a full ring, and any with a NUL,
// which a writer leaves where it was about to write.
func lines(text []byte, full bool) (kept string, torn bool) {
	if full {
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
	}
	if bytes.IndexByte(text, 0) < 0 {
		return string(text), false
	}
	var b strings.Builder
	for line := range bytes.Lines(text) {
		if bytes.IndexByte(line, 0) < 0 {
			b.Write(line)
		}
	}
	return b.String(), true
}

// DumpHeader returns the first line of a plain dump record.
func DumpHeader(t time.Time) string {
	return fmt.Sprintf("====%d.%06d-D\n", t.Unix(), t.Nanosecond()/1000)
}

func dumpHeader(b []byte) (when time.Time, compressed bool, rest []byte, ok bool) {
	line, rest, found := bytes.Cut(b, []byte("\n"))
	body, isHeader := bytes.CutPrefix(line, []byte("===="))
	if !found || !isHeader || len(body) < 4 {
		return time.Time{}, false, b, false
	}
	kind := string(body[len(body)-2:])
	sec, micro, dot := strings.Cut(string(body[:len(body)-2]), ".")
	s, err1 := strconv.ParseInt(sec, 10, 64)
	us, err2 := strconv.ParseInt(micro, 10, 64)
	if !dot || err1 != nil || err2 != nil || us < 0 || us > 999999 || kind != "-D" && kind != "-C" {
		return time.Time{}, false, b, false
	}
	return time.Unix(s, us*1000), kind == "-C", rest, true
}
