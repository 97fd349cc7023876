package corefile

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// coreOf returns a core of many frames, some of which are zeros.
func coreOf(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, size)
	for i := range b {
		if i/frameSize%3 > 0 {
			b[i] = byte(r.Uint32() & 0x1f)
		}
	}
	return b
}

// A compressed core is read in any order, without a copy.
func TestFramesInPlace(t *testing.T) {
	plain := coreOf(framesKept + 5*frameSize + 17)
	dir := t.TempDir()
	path := filepath.Join(dir, "a.core.zst")
	if err := Save(path, Form{Compress: true}, From(bytes.NewReader(plain))); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none") // no copy can be made there
	f, err := Open(path, OpenOptions{Dir: none})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Size != int64(len(plain)) || !f.Compressed || f.Truncated != nil {
		t.Fatalf("%+v", f)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		at, n := r.Int64N(f.Size), r.IntN(2*frameSize)
		got := make([]byte, n)
		n, err := f.ReadAt(got, at)
		want := plain[at:min(len(plain), int(at)+len(got))]
		if !bytes.Equal(got[:n], want) || (err != nil) != (n < len(got)) {
			t.Fatalf("%d bytes at %d: %d, %v", len(got), at, n, err)
		}
	}
	if core := f.ReaderAt.(*frames); core.bytes > framesKept || len(core.kept) != len(core.order) {
		t.Errorf("%d bytes are kept in %d frames", core.bytes, len(core.kept))
	}
	if _, err := f.ReadAt(make([]byte, 1), f.Size); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// Third-party files, and truncated files, are read as far as possible.
func TestFramesOfOthers(t *testing.T) {
	plain := coreOf(5 * frameSize)
	var ours, stream bytes.Buffer
	if err := (Form{Compress: true}).Write(&ours, From(bytes.NewReader(plain))); err != nil {
		t.Fatal(err)
	}
	compressStream(t, &stream, string(plain))
	large, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	skipped := "\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
	for name, c := range map[string]struct {
		stored string
		want   int // bytes
		cut    bool
	}{
		"ours":                  {ours.String(), len(plain), false},
		"a frame to skip first": {ours.String()[:0] + ours.String() + skipped, len(plain), false},
		"cut in the last frame": {ours.String()[:ours.Len()-1], 4 * frameSize, true},
		"cut in a header":       {ours.String() + "\x28\xb5\x2f\xfd\x24", len(plain), true},
		"one stream":            {stream.String(), len(plain), false},
		"one frame with a size": {string(large.EncodeAll(plain, nil)), len(plain), false},
		"a frame and a stream":  {ours.String() + stream.String(), 2 * len(plain), false},
	} {
		path := filepath.Join(t.TempDir(), "stored")
		if err := os.WriteFile(path, []byte(c.stored), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, OpenOptions{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
		want := append(bytes.Clone(plain), plain...)[:c.want]
		if err != nil || !bytes.Equal(got, want) || (f.Truncated != nil) != c.cut {
			t.Errorf("%s: %d bytes, %v, truncated: %v", name, len(got), err, f.Truncated)
		}
		f.Close()
	}
}

// A frame with another size than it declares is an error.
func TestFramesThatLie(t *testing.T) {
	var stored bytes.Buffer
	if err := (Form{Compress: true}).Write(&stored, core); err != nil {
		t.Fatal(err)
	}
	b := stored.Bytes()
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		t.Fatal(err)
	}
	for _, size := range []uint32{0, 1, uint32(len(content)) - 1, uint32(len(content)) + 1, maxFrameSize} {
		lying := h
		lying.FrameContentSize = uint64(size)
		head, err := lying.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "stored")
		if err := os.WriteFile(path, append(head, b[h.HeaderSize:]...), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, OpenOptions{})
		if err != nil {
			continue
		}
		got, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
		if err == nil && size > 0 || len(got) > 0 && !strings.HasPrefix(content, string(got)) {
			t.Errorf("a frame of %d bytes that claims %d: %d bytes, %v", len(content), size, len(got), err)
		}
		f.Close()
	}
}
