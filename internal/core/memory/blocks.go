package memory

import (
	"io"
	"sync"
)

// Blocks is a file of which it keeps the pieces that small reads hit again and
// again: 16 MiB at most, however large the file. It may be read from several
// goroutines.
type Blocks struct {
	src  io.ReaderAt
	size int64

	mu   sync.Mutex
	kept map[int64][]byte // by number
	ring []int64          // numbers in the order in which they came
	next int
}

const (
	blockSize  = 32 << 10
	blocksKept = 512
)

// NewBlocks reads the size bytes of src.
func NewBlocks(src io.ReaderAt, size int64) *Blocks { return &Blocks{src: src, size: size} }

// ReadAt is io.ReaderAt's.
func (b *Blocks) ReadAt(p []byte, off int64) (int, error) {
	if len(p) >= blockSize {
		return b.src.ReadAt(p, off)
	}
	done := 0
	for done < len(p) {
		at := off + int64(done)
		block, err := b.block(at / blockSize)
		if in := at % blockSize; in < int64(len(block)) {
			done += copy(p[done:], block[in:])
			continue
		}
		if err == nil {
			return done, io.EOF
		}
		// A part of the block cannot be read: perhaps not this one.
		n, err := b.src.ReadAt(p[done:], at)
		return done + n, err
	}
	return done, nil
}

// block returns the number-th block, shorter where the file ends.
func (b *Blocks) block(number int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if data, ok := b.kept[number]; ok {
		return data, nil
	}
	start := number * blockSize
	if start >= b.size {
		return nil, io.EOF
	}
	data := make([]byte, min(blockSize, b.size-start))
	n, err := b.src.ReadAt(data, start)
	if n < len(data) {
		return data[:n], err
	}
	if b.kept == nil {
		b.kept = make(map[int64][]byte)
	}
	if len(b.ring) < blocksKept {
		b.ring = append(b.ring, number)
	} else {
		delete(b.kept, b.ring[b.next])
		b.ring[b.next] = number
		b.next = (b.next + 1) % blocksKept
	}
	b.kept[number] = data
	return data, nil
}
