package elfcore

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// Reading a core before it is written gives the bytes that are written, in any
// order.
func TestReaderAt(t *testing.T) {
	made := 0
	content := func(b []byte) func(io.Writer) error {
		return func(w io.Writer) error {
			made++
			return Bytes(b)(w)
		}
	}
	c := &Core{
		Machine: MachineAMD64,
		Notes:   []Note{{Name: "X", Type: 1, Desc: []byte("a note")}},
		Segments: []Segment{
			{Addr: 0x1000, Size: 5000, Content: content(bytes.Repeat([]byte("abc"), 2000)[:5000])},
			{Addr: 0x9000, Size: 7000},
			{Addr: 0x20000, Size: 100, Missing: 90, Content: content([]byte("0123456789"))},
			{Addr: 0x30000, Size: 3, Content: content([]byte("end"))},
		},
	}
	var want bytes.Buffer
	if _, err := c.Write(&want); err != nil {
		t.Fatal(err)
	}
	made = 0
	r, size, err := c.ReaderAt()
	if err != nil || size != int64(want.Len()) {
		t.Fatalf("%d bytes, %v, want %d", size, err, want.Len())
	}
	head := make([]byte, 64)
	if _, err := r.ReadAt(head, 0); err != nil || made != 0 {
		t.Errorf("%d segments made to read the header: %v", made, err)
	}
	for range 1000 {
		from := rand.IntN(want.Len())
		b := make([]byte, rand.IntN(want.Len()-from+1))
		if n, err := r.ReadAt(b, int64(from)); err != nil || n != len(b) || !bytes.Equal(b, want.Bytes()[from:from+n]) {
			t.Fatalf("%d bytes at %d: %d, %v", len(b), from, n, err)
		}
	}
	if err := iotest.TestReader(io.NewSectionReader(r, 0, size), want.Bytes()); err != nil {
		t.Error(err)
	}
	if made != 3 {
		t.Errorf("the contents of 3 segments were made %d times", made)
	}
	c.Notes[0] = Note{Name: "X", Late: func() ([]byte, error) { return nil, nil }}
	if _, _, err := c.ReaderAt(); err == nil {
		t.Error("a core with a late note is read before it is written")
	}
}
