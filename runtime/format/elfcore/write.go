package elfcore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

func (c *Core) write(out *counter, l *layout) error {
	if _, err := out.Write(c.headers(l)); err != nil {
		return err
	}
	switch {
	case c.NotesLater:
		if err := fill(out, 0, l.notesSize); err != nil {
			return err
		}
	case l.notesFirst:
		if err := c.writeNotes(out); err != nil {
			return err
		}
	}
	if err := fill(out, MarkByte, l.blockSize); err != nil {
		return err
	}
	for i := range l.segments {
		s := &l.segments[i]
		if s.Content == nil {
			continue
		}
		end := out.n + s.Size - s.Missing
		out.limit = end
		if err := s.Content(out); err != nil {
			return fmt.Errorf("segment at %#x: %w", s.Addr, err)
		}
		out.limit = 0
		if out.n != end {
			return fmt.Errorf("segment at %#x: content is %d bytes short", s.Addr, end-out.n)
		}
	}
	if !l.notesFirst {
		return c.writeNotes(out)
	}
	return nil
}

// headers returns the ELF header and the program headers.
func (c *Core) headers(l *layout) []byte {
	b := make([]byte, 0, headerSize+progSize*(1+len(l.segments)))
	b = appendHeader(b, c.Machine, 1+len(l.segments))

	b = AppendProgram(b, Program{Type: ptNote, Offset: l.notesOff, FileSize: l.notesSize, Align: 4})
	at := l.dataOff
	for i := range l.segments {
		s := &l.segments[i]
		p := Program{Type: ptLoad, Flags: s.Flags, Offset: l.blockOff, Addr: s.Addr, FileSize: s.Size, MemSize: s.Size, Align: 1}
		if s.Content != nil {
			p.Offset = at
			p.FileSize = s.Size - s.Missing
			at += p.FileSize
		}
		b = AppendProgram(b, p)
	}
	return b
}

// appendHeader appends the 64 bytes of the ELF header of a core.
func appendHeader(b []byte, machine uint16, programs int) []byte {
	le := binary.LittleEndian
	b = append(b, 0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint16(b, typeCore)
	b = le.AppendUint16(b, machine)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, 0)          // e_entry
	b = le.AppendUint64(b, headerSize) // e_phoff
	b = le.AppendUint64(b, 0)          // e_shoff
	b = le.AppendUint32(b, 0)          // e_flags
	b = le.AppendUint16(b, headerSize)
	b = le.AppendUint16(b, progSize)
	b = le.AppendUint16(b, uint16(programs))
	b = le.AppendUint16(b, 0) // e_shentsize: no sections
	b = le.AppendUint16(b, 0)
	return le.AppendUint16(b, 0)
}

// A Program is a program header.
type Program struct {
	Type, Flags       uint32
	Offset, Addr      uint64
	FileSize, MemSize uint64
	Align             uint64
}

// AppendProgram appends the 56 bytes of a program header to b.
func AppendProgram(b []byte, p Program) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, p.Type)
	b = le.AppendUint32(b, p.Flags)
	b = le.AppendUint64(b, p.Offset)
	b = le.AppendUint64(b, p.Addr)
	b = le.AppendUint64(b, 0) // p_paddr
	b = le.AppendUint64(b, p.FileSize)
	b = le.AppendUint64(b, p.MemSize)
	return le.AppendUint64(b, p.Align)
}

func (c *Core) writeNotes(out *counter) error {
	var pad [4]byte
	if gap := align4(out.n) - out.n; gap > 0 {
		if _, err := out.Write(pad[:gap]); err != nil {
			return err
		}
	}
	for i := range c.Notes {
		n := c.Notes[i]
		if n.Late != nil {
			desc, err := n.Late()
			if err != nil {
				return fmt.Errorf("note %s/%#x: %w", n.Name, n.Type, err)
			}
			if len(desc) != n.LateSize {
				return fmt.Errorf("note %s/%#x: %d bytes where %d were promised", n.Name, n.Type, len(desc), n.LateSize)
			}
			n.Desc = desc
		}
		if _, err := out.Write(AppendNote(nil, n)); err != nil {
			return err
		}
	}
	return nil
}

// AppendNote appends a note to b, with name and descriptor padded to 4 (the
// last one too: readelf rejects a file without that padding). b's length must
// be a multiple of 4. AppendNote ignores Late.
func AppendNote(b []byte, n Note) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(n.Name)+1))
	b = le.AppendUint32(b, uint32(len(n.Desc)))
	b = le.AppendUint32(b, n.Type)
	b = append(b, n.Name...)
	b = append(b, 0)
	b = pad4(b, len(n.Name)+1)
	b = append(b, n.Desc...)
	return pad4(b, len(n.Desc))
}

func noteSize(n *Note) uint64 {
	desc := len(n.Desc)
	if n.Late != nil {
		desc = n.LateSize
	}
	return 12 + align4(uint64(len(n.Name)+1)) + align4(uint64(desc))
}

// fill writes size bytes of one value.
func fill(w io.Writer, value byte, size uint64) error {
	buf := bytes.Repeat([]byte{value}, int(min(size, fillSize)))
	for size > 0 {
		n := min(size, uint64(len(buf)))
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		size -= n
	}
	return nil
}

func pad4(b []byte, n int) []byte {
	for ; n%4 != 0; n++ {
		b = append(b, 0)
	}
	return b
}

func align4(n uint64) uint64 { return (n + 3) &^ 3 }

// A counter counts written bytes and, while limit is set, fails a write beyond
// it, so that a too long Content cannot displace what follows.
type counter struct {
	w     io.Writer
	n     uint64
	limit uint64
}

func (c *counter) Write(p []byte) (int, error) {
	if c.limit != 0 && c.n+uint64(len(p)) > c.limit {
		return 0, fmt.Errorf("content is longer than its segment")
	}
	n, err := c.w.Write(p)
	c.n += uint64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
