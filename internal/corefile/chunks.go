package corefile

import (
	"errors"
	"io"
	"sync"

	"filippo.io/age"
)

// chunkSize is how many bytes age encrypts as a whole.
const chunkSize = 64 << 10

// chunks is an encrypted file as what is in it. It remembers the chunks that cannot
// be decrypted: a value is read a few bytes at a time, and each of these reads would
// decrypt a chunk again. It may be read from several goroutines.
type chunks struct {
	plain io.ReaderAt
	size  int64

	mu     sync.Mutex
	failed map[int64]error // by the number of the chunk
}

func openChunks(src io.ReaderAt, size int64, identities []age.Identity) (c *chunks, plain int64, err error) {
	c = &chunks{failed: map[int64]error{}}
	c.plain, c.size, err = age.DecryptReaderAt(src, size, identities...)
	return c, c.size, err
}

// ReadAt is io.ReaderAt's.
func (c *chunks) ReadAt(p []byte, off int64) (int, error) {
	sound, failed := c.sound(p, off)
	n, err := c.plain.ReadAt(sound, off)
	switch {
	case n == len(sound) && failed != nil:
		err = failed
	case err != nil && !errors.Is(err, io.EOF) && off >= 0 && off < c.size:
		c.fail((off+int64(n))/chunkSize, err)
	}
	return n, err
}

// sound returns the part of p in front of the first chunk that is known to be
// damaged, and the error of that.
func (c *chunks) sound(p []byte, off int64) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failed) == 0 {
		return p, nil
	}
	for at := max(off, 0) / chunkSize; at*chunkSize < off+int64(len(p)); at++ {
		if err := c.failed[at]; err != nil {
			return p[:max(at*chunkSize-off, 0)], err
		}
	}
	return p, nil
}

func (c *chunks) fail(chunk int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed[chunk] = err
}
