package corefile

import (
	"bytes"
	"io"
	"math"
	"testing"

	"filippo.io/age"
)

// counted counts the bytes that are read of a file.
type counted struct {
	*bytes.Reader
	read int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(p, off)
	c.read += int64(n)
	return n, err
}

// A damaged part is decrypted and decompressed once, however often it is read, and
// costs no part but itself.
func TestDamagedParts(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	plain := coreOf(8 * frameSize)
	for i := range plain { // no frame is small
		plain[i] ^= byte(i * i >> 7)
	}
	open := func(src io.ReaderAt, size int64, form Form) (io.ReaderAt, error) {
		if form.Compress {
			f, _, err := openFrames(src, size, math.MaxInt64)
			return f, err
		}
		c, _, err := openChunks(src, size, []age.Identity{key})
		return c, err
	}
	for name, form := range map[string]Form{
		"compressed": {Compress: true},
		"encrypted":  {Recipients: []age.Recipient{key.Recipient()}},
	} {
		t.Run(name, func(t *testing.T) {
			var stored bytes.Buffer
			if err := form.Write(&stored, From(bytes.NewReader(plain))); err != nil {
				t.Fatal(err)
			}
			// Content of a block or chunk, not a header.
			size := int64(stored.Len())
			stored.Bytes()[size/2+100] ^= 0x55
			src := &counted{Reader: bytes.NewReader(stored.Bytes())}
			core, err := open(src, size, form)
			if err != nil {
				t.Fatal(err)
			}
			damaged, good := 0, 0
			for at := 0; at < len(plain); at += 64 {
				b := make([]byte, 8)
				switch n, err := core.ReadAt(b, int64(at)); {
				case err != nil || n < 8:
					damaged++
				case bytes.Equal(b, plain[at:at+8]):
					good++
				default:
					t.Fatalf("wrong bytes at %d", at)
				}
			}
			if most := 3 * frameSize / 64; damaged == 0 || damaged > most || good != len(plain)/64-damaged {
				t.Errorf("%d reads failed, %d did not, of %d", damaged, good, len(plain)/64)
			}
			if most := 3 * size; src.read > most {
				t.Errorf("%d bytes were read of a file of %d", src.read, size)
			}
			// A read over the edge has what is in front of it.
			edge := make([]byte, len(plain))
			n, err := core.ReadAt(edge, 0)
			if err == nil || !bytes.Equal(edge[:n], plain[:n]) || n == 0 {
				t.Errorf("%d bytes in front of the damage: %v", n, err)
			}
		})
	}
}
