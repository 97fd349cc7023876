package memory

import (
	"io"
	"sync"
)

// Blocks caches the pieces of a file that small reads repeat: at most 32 MiB,
// however large the file. Several goroutines may read it.
type Blocks struct {
	src  io.ReaderAt
	size int64

	mu   sync.Mutex
	kept map[int64][]byte // by number
	ring []int64          // numbers in order of arrival
	next int
}

const (
	blockSize  = 8 << 10
	blocksKept = 4096
)

// NewBlocks reads the size bytes of src.
func NewBlocks(src io.ReaderAt, size int64) *Blocks { return &Blocks{src: src, size: size} }

// ReadAt implements io.ReaderAt.
func (b *Blocks) ReadAt(p []byte, off int64) (int, error) {
	if len(p) >= blockSize {
		return b.src.ReadAt(p, off)
	}
	done := 0
	b.mu.Lock()
	defer b.mu.Unlock()
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
		// A part of the block is unreadable, perhaps not this one.
		n, err := b.src.ReadAt(p[done:], at)
		return done + n, err
	}
	return done, nil
}

// block returns the number-th block, which is shorter at the end of the file.
// It is valid until the next call.
func (b *Blocks) block(number int64) ([]byte, error) {
	if data, ok := b.kept[number]; ok {
		return data, nil
	}
	start := number * blockSize
	if start >= b.size {
		return nil, io.EOF
	}
	var data []byte
	if len(b.ring) == blocksKept { // evict the oldest
		oldest := b.ring[b.next]
		data = b.kept[oldest]
		delete(b.kept, oldest)
	}
	if cap(data) < blockSize {
		data = make([]byte, blockSize)
	}
	data = data[:min(blockSize, b.size-start)]
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
		b.ring[b.next] = number
		b.next = (b.next + 1) % blocksKept
	}
	b.kept[number] = data
	return data, nil
}
