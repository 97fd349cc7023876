package elfcore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
)

// errLate reports a core with a note whose content is known only after writing.
var errLate = errors.New("a note of the core is known only after writing")

// ReaderAt returns the file that Write would write, without writing it, and its
// size. A segment's contents are created and kept when a byte of it is first
// read, in any order, so a reader of a few segments needs no copy of the core.
// The reader must not be used by two goroutines at once. Late notes are not
// allowed.
func (c *Core) ReaderAt() (io.ReaderAt, int64, error) {
	l, err := c.plan()
	if err == nil && (!l.notesFirst || c.NotesLater) {
		err = errLate
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read core: %w", err)
	}
	r := &unwritten{}
	r.add(l.notesOff, func(w io.Writer) error { return discardCount(w.Write(c.headers(l))) })
	r.add(l.notesSize, func(w io.Writer) error { return c.writeNotes(&counter{w: w}) })
	r.add(l.blockSize, func(w io.Writer) error { return fill(w, MarkByte, l.blockSize) })
	for i := range l.segments {
		if s := &l.segments[i]; s.Content != nil {
			r.add(s.Size-s.Missing, s.Content)
		}
	}
	return r, int64(l.size), nil
}

func discardCount(_ int, err error) error { return err }

// An unwritten is a file made of parts.
type unwritten struct {
	parts []part
	size  uint64
}

// A part is a piece of a file whose bytes are created when it is first read.
type part struct {
	at, size uint64
	content  func(io.Writer) error
	data     []byte // nil until then
}

func (u *unwritten) add(size uint64, content func(io.Writer) error) {
	if size > 0 {
		u.parts = append(u.parts, part{at: u.size, size: size, content: content})
		u.size += size
	}
}

// ReadAt implements io.ReaderAt.
func (u *unwritten) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read core: offset %d", off)
	}
	done := 0
	for done < len(b) {
		at := uint64(off) + uint64(done)
		if at >= u.size {
			return done, io.EOF
		}
		p := &u.parts[sort.Search(len(u.parts), func(i int) bool { return u.parts[i].at+u.parts[i].size > at })]
		if err := p.make(); err != nil {
			return done, err
		}
		done += copy(b[done:], p.data[at-p.at:])
	}
	return done, nil
}

func (p *part) make() error {
	if p.data != nil {
		return nil
	}
	var b bytes.Buffer
	b.Grow(int(p.size))
	if err := p.content(&b); err != nil {
		return fmt.Errorf("read core: %w", err)
	}
	if uint64(b.Len()) != p.size {
		return fmt.Errorf("read core: content of %d bytes in a place of %d", b.Len(), p.size)
	}
	p.data = b.Bytes()
	return nil
}
