package elfcore

import (
	"fmt"
	"io"
)

// A SparseFile has the methods that Sparse needs; *os.File implements it.
type SparseFile interface {
	io.WriteSeeker
	Truncate(size int64) error
}

// Sparse writes to a file and leaves holes for whole blocks of zeros. Call
// Finish at the end, or trailing zeros are lost.
type Sparse struct {
	f    SparseFile
	at   int64 // where the next byte belongs
	real int64 // where the file's own position is
}

// sparseBlock is the smallest hole that a file system can represent.
const sparseBlock = 4096

// NewSparse returns a writer to f, which must be empty and at its start.
func NewSparse(f SparseFile) *Sparse { return &Sparse{f: f} }

func (s *Sparse) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		rest := p[written:]
		// Up to the next block boundary, then whole blocks.
		n := min(len(rest), sparseBlock-int(s.at%sparseBlock))
		if n == sparseBlock && zero(rest[:n]) {
			s.at += int64(n)
			written += n
			continue
		}
		for len(rest)-n >= sparseBlock && !zero(rest[n:n+sparseBlock]) {
			n += sparseBlock
		}
		if s.real != s.at {
			if _, err := s.f.Seek(s.at, io.SeekStart); err != nil {
				return written, fmt.Errorf("seek over a hole: %w", err)
			}
			s.real = s.at
		}
		m, err := s.f.Write(rest[:n])
		s.at += int64(m)
		s.real = s.at
		written += m
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// Finish sets the file's length.
func (s *Sparse) Finish() error {
	if s.real == s.at {
		return nil
	}
	if err := s.f.Truncate(s.at); err != nil {
		return fmt.Errorf("set the length of a sparse file: %w", err)
	}
	return nil
}

func zero(b []byte) bool {
	for len(b) >= 8 {
		if b[0]|b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7] != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
