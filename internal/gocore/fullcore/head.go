package fullcore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// A Head is what the kernel writes of a core before any memory: the threads with
// their registers and the signal. While the rest of a core is not taken from the
// pipe, the process that it is of is there, and none of its threads moves.
type Head struct {
	// Threads are the process' with their registers, the one first that the
	// signal ended. Their numbers are those that the process itself knows.
	Threads []process.Thread

	SigInfo *elfcore.SigInfo // nil if the core does not have it
	Auxv    []byte
}

// maxHead bounds the head of a core. A thread takes 4 KB there, with the
// largest of amd64's vector registers 11, and the Go runtime ends a program of
// more than ten thousand; the table of segments takes 3.6 MB at most, the
// kernel's list of mapped files 4.
const maxHead = 128 << 20

// errHead is wrapped by the errors about a stream that does not begin as the
// kernel's cores do.
var errHead = errors.New("it does not begin as a core of the kernel")

// ReadHead reads the head of a core from r, and not one byte more. It always
// returns the bytes that it has read, which precede the rest of r.
func ReadHead(r io.Reader) (head *Head, read []byte, err error) {
	h := &headReader{r: r}
	notes, err := h.notes()
	if err != nil {
		return nil, h.read.Bytes(), fmt.Errorf("the head of the kernel's core: %w", err)
	}
	file := elfcore.File{Machine: h.machine, Notes: notes}
	linux, err := file.Linux()
	if err != nil {
		return nil, h.read.Bytes(), fmt.Errorf("the head of the kernel's core: %w", err)
	}
	head = &Head{Threads: threads(h.machine, linux), SigInfo: linux.Signal, Auxv: linux.Auxv}
	if len(head.Threads) == 0 {
		return nil, h.read.Bytes(), fmt.Errorf("the head of the kernel's core: %w: it has no thread", errHead)
	}
	return head, h.read.Bytes(), nil
}

// A headReader takes from a stream what it needs and keeps it.
type headReader struct {
	r       io.Reader
	read    bytes.Buffer
	machine uint16
}

// upTo returns the stream's first n bytes.
func (h *headReader) upTo(n uint64) ([]byte, error) {
	if n > maxHead {
		return nil, fmt.Errorf("%w: it takes %d bytes", errHead, n)
	}
	if more := int64(n) - int64(h.read.Len()); more > 0 {
		// The buffer grows by what comes, not by what the headers claim.
		if _, err := io.CopyN(&h.read, h.r, more); errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w after %d bytes of %d", io.ErrUnexpectedEOF, h.read.Len(), n)
		} else if err != nil {
			return nil, err
		}
	}
	return h.read.Bytes()[:n], nil
}

// notes reads the notes. The kernel's first program header is theirs.
func (h *headReader) notes() ([]elfcore.Note, error) {
	le := binary.LittleEndian
	b, err := h.upTo(headerSize)
	if err != nil {
		return nil, err
	}
	const core = 4 // ET_CORE
	if string(b[:4]) != "\x7fELF" || b[4] != 2 || b[5] != 1 || le.Uint16(b[16:]) != core {
		return nil, fmt.Errorf("%w: %x", errHead, b[:20])
	}
	h.machine = le.Uint16(b[18:])
	if name := elfcore.MachineName(h.machine); name != runtime.GOARCH {
		return nil, fmt.Errorf("%w: it is of a program for %s", errHead, name)
	}
	at, count := le.Uint64(b[32:]), le.Uint16(b[56:])
	if le.Uint16(b[54:]) != programSize || count == 0 || at < headerSize || at > maxHead {
		return nil, fmt.Errorf("%w: no program headers", errHead)
	}
	if b, err = h.upTo(at + programSize); err != nil {
		return nil, err
	}
	const note = 4 // PT_NOTE
	p := elfcore.ParseProgram(b[at:])
	if p.Type != note || p.Offset < at+programSize || p.Offset > maxHead || p.FileSize > maxHead {
		return nil, fmt.Errorf("%w: its first segment is no notes", errHead)
	}
	if b, err = h.upTo(p.Offset + p.FileSize); err != nil {
		return nil, err
	}
	return elfcore.ParseNotes(b[p.Offset:])
}
