package fullcore

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// DefaultMost is how much of the disk a spooled core may take unless told
// otherwise.
const DefaultMost = 16 << 30

// ErrTooLarge says that a core does not fit into what it may take of the disk.
var ErrTooLarge = errors.New("the core is too large")

// ErrPacked is wrapped by the errors about a form in which cores are kept and
// that is not read here. They name the command that undoes it.
var ErrPacked = errors.New("not read in this form")

// packed are forms of files by their first bytes.
var packed = []struct{ magic, name, undo string }{
	{"\x04\x22\x4d\x18", "lz4", "lz4 -dc"},
	{"\xfd7zXZ\x00", "xz", "xz -dc"},
	{"\x1f\x8b", "gzip", "gzip -dc"},
	{"BZh", "bzip2", "bzip2 -dc"},
	{"age-encryption.org/v1", "age", "age --decrypt -i KEY"},
}

const zstdMagic = "\x28\xb5\x2f\xfd"

// A Spooled is a core in a file of ours that has no name any more.
type Spooled struct {
	File       *os.File
	Size       int64
	Compressed bool
	// Cut is why the stream ended before its end, nil when it did not: what
	// stood before is in the file.
	Cut error
}

// Spool writes what r holds, decompressed if it is compressed with zstd, to a
// file in dir ("" is the system's place for temporary files), since a core is
// read here and there. Zeros take no room in it; more than most bytes of others
// are ErrTooLarge; 0 is no limit. The caller closes the file.
func Spool(dir string, r io.Reader, most int64) (*Spooled, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	head, err := in.Peek(32)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := refusePacked(head); err != nil {
		return nil, err
	}
	s := &Spooled{Compressed: isZstd(head)}
	var plain io.Reader = in
	if s.Compressed {
		dec, err := zstd.NewReader(in, zstd.WithDecoderMaxMemory(1<<30), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("decompress: %w", err)
		}
		defer dec.Close()
		plain = dec
	}
	if s.File, err = os.CreateTemp(dir, ".meminspect-full-"); err != nil {
		return nil, err
	}
	os.Remove(s.File.Name())
	sparse := elfcore.NewSparse(&limited{s.File, most})
	s.Size, err = io.CopyBuffer(onlyWriter{sparse}, plain, make([]byte, 1<<20))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		s.Cut, err = err, nil
	}
	if err == nil {
		err = sparse.Finish()
	}
	if err != nil {
		s.File.Close()
		return nil, fmt.Errorf("spool the core: %w", err)
	}
	return s, nil
}

func isZstd(head []byte) bool {
	return len(head) >= len(zstdMagic) && string(head[:len(zstdMagic)]) == zstdMagic
}

// refusePacked returns an error when a file begins as one that must be unpacked
// by somebody else first.
func refusePacked(head []byte) error {
	for _, p := range packed {
		if len(head) >= len(p.magic) && string(head[:len(p.magic)]) == p.magic {
			return fmt.Errorf("%s: %w; undo it by: %s FILE", p.name, ErrPacked, p.undo)
		}
	}
	return nil
}

// limited is a file that takes so many bytes beside its holes.
type limited struct {
	*os.File
	most int64 // 0: any number
}

func (l *limited) Write(p []byte) (int, error) {
	if l.most == 0 {
		return l.File.Write(p)
	}
	if int64(len(p)) >= l.most {
		return 0, fmt.Errorf("%w: it takes more of the disk than it may", ErrTooLarge)
	}
	n, err := l.File.Write(p)
	l.most -= int64(n)
	return n, err
}

// onlyWriter hides the ways around Write.
type onlyWriter struct{ io.Writer }
