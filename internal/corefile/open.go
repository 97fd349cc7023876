package corefile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/klauspost/compress/zstd"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Errors of files that cannot be opened as they are.
var (
	ErrEncrypted = errors.New("core is encrypted: give the file of a secret key with --identity")
	ErrTooLarge  = errors.New("core is larger than its temporary copy may be")
	ErrPacked    = errors.New("unsupported compression")
)

// First bytes of files.
const (
	zstdMagic = "\x28\xb5\x2f\xfd"
	ageMagic  = "age-encryption.org/v1"
)

// packed are forms that others store cores in, and what undoes them.
var packed = []struct{ magic, name, undo string }{
	{"\x04\x22\x4d\x18", "lz4", "lz4 -dc"},
	{"\xfd7zXZ\x00", "xz", "xz -dc"},
	{"\x1f\x8b", "gzip", "gzip -dc"},
	{"BZh", "bzip2", "bzip2 -dc"},
}

// OpenOptions are how to open a core.
type OpenOptions struct {
	Identities []age.Identity // for an encrypted core; see [ParseIdentities]

	// Dir is the directory for the temporary copy of a core that is compressed or
	// comes through a pipe; "" is the system's. The decompressed copy of an
	// encrypted core is in memory instead. MaxBytes bounds the copy, without its
	// holes; 0 is no limit.
	Dir      string
	MaxBytes int64
}

// A File is an open core, in the clear.
type File struct {
	io.ReaderAt
	Path       string // "" for a stream
	Size       int64  // decrypted and decompressed
	Stored     int64  // bytes of the file at Path
	Modified   time.Time
	Compressed bool
	Encrypted  bool

	// Truncated is why a compressed core ends early, nil if it is complete. Size
	// counts what could be decompressed.
	Truncated error

	closers []io.Closer
}

// Close releases the file and its temporary copy.
func (f *File) Close() error {
	var failed error
	for _, c := range f.closers {
		failed = errors.Join(failed, c.Close())
	}
	return failed
}

// Open opens the core at path, decrypted and decompressed. Path may be a pipe.
// The caller closes the File.
func Open(path string, o OpenOptions) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := open(in, o)
	if err != nil {
		in.Close()
		return nil, err
	}
	f.Path = path
	f.closers = append(f.closers, in)
	return f, nil
}

func open(in *os.File, o OpenOptions) (*File, error) {
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("is a directory: name a file in it")
	}
	if !info.Mode().IsRegular() {
		return Read(in, o)
	}
	f := &File{ReaderAt: in, Size: info.Size()}
	head := headOf(f)
	if strings.HasPrefix(head, ageMagic) {
		if len(o.Identities) == 0 {
			return nil, ErrEncrypted
		}
		if f.ReaderAt, f.Size, err = age.DecryptReaderAt(in, info.Size(), o.Identities...); err != nil {
			return nil, fmt.Errorf("decrypt: %w", err)
		}
		f.Encrypted = true
		head = headOf(f)
	}
	if encoded(head) {
		copied, err := spool(io.NewSectionReader(f, 0, f.Size), f.Encrypted, o)
		if err != nil {
			return nil, err
		}
		copied.Encrypted = copied.Encrypted || f.Encrypted
		f = copied
	}
	f.Stored, f.Modified = info.Size(), info.ModTime()
	return f, nil
}

// Read reads a core from a stream into a temporary copy, decrypted and
// decompressed. The caller closes the File.
func Read(r io.Reader, o OpenOptions) (*File, error) { return spool(r, false, o) }

// spool copies a stream to a file without a name; to one in memory if the core
// is secret.
func spool(r io.Reader, secret bool, o OpenOptions) (*File, error) {
	plain, encoding, err := NewReader(r, o.Identities)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	f := &File{Compressed: encoding.Compressed, Encrypted: encoding.Encrypted}
	temp, err := temporary(o.Dir, secret || encoding.Encrypted)
	if err != nil {
		return nil, err
	}
	limit := o.MaxBytes
	if limit == 0 {
		limit = math.MaxInt64
	}
	sparse := elfcore.NewSparse(Limit(temp, limit, ErrTooLarge))
	f.Size, err = io.CopyBuffer(onlyWriter{sparse}, plain, make([]byte, 1<<20))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		f.Truncated, err = err, nil
	}
	if err == nil {
		err = sparse.Finish()
	}
	if err != nil {
		temp.Close()
		return nil, fmt.Errorf("copy the core: %w", err)
	}
	f.ReaderAt, f.closers = temp, append(f.closers, temp)
	return f, nil
}

// onlyWriter hides the other ways to write.
type onlyWriter struct{ io.Writer }

// temporary returns an empty file without a name.
func temporary(dir string, secret bool) (*os.File, error) {
	if secret {
		return InMemory("core")
	}
	f, err := os.CreateTemp(dir, ".meminspect-*")
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name())
	return f, nil
}

// An Encoding is how a core was stored.
type Encoding struct{ Compressed, Encrypted bool }

// NewReader returns a reader of the core in r, decrypted and decompressed. A
// stream that is neither encrypted nor compressed is read as it is.
func NewReader(r io.Reader, identities []age.Identity) (io.ReadCloser, Encoding, error) {
	var e Encoding
	in := bufio.NewReaderSize(r, 1<<20)
	head := peek(in)
	if strings.HasPrefix(head, ageMagic) || strings.HasPrefix(head, armor.Header) {
		if len(identities) == 0 {
			return nil, e, ErrEncrypted
		}
		var stored io.Reader = in
		if strings.HasPrefix(head, armor.Header) {
			stored = armor.NewReader(in)
		}
		decrypted, err := age.Decrypt(stored, identities...)
		if err != nil {
			return nil, e, fmt.Errorf("decrypt: %w", err)
		}
		e.Encrypted = true
		in = bufio.NewReaderSize(decrypted, 1<<20)
		head = peek(in)
	}
	for _, p := range packed {
		if strings.HasPrefix(head, p.magic) {
			return nil, e, fmt.Errorf("%s: %w: decompress it first: %s FILE", p.name, ErrPacked, p.undo)
		}
	}
	if !strings.HasPrefix(head, zstdMagic) {
		return io.NopCloser(in), e, nil
	}
	e.Compressed = true
	plain, err := zstd.NewReader(in, zstd.WithDecoderMaxMemory(1<<30), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, e, fmt.Errorf("decompress: %w", err)
	}
	return plain.IOReadCloser(), e, nil
}

// encoded reports whether [NewReader] changes a core that begins with head.
func encoded(head string) bool {
	for _, p := range packed {
		if strings.HasPrefix(head, p.magic) {
			return true
		}
	}
	return strings.HasPrefix(head, zstdMagic) || strings.HasPrefix(head, ageMagic) || strings.HasPrefix(head, armor.Header)
}

// headSize is enough for every magic.
const headSize = len(armor.Header)

func headOf(f *File) string {
	head := make([]byte, headSize)
	n, _ := f.ReadAt(head, 0) // an error comes again with the first read of the core
	return string(head[:n])
}

func peek(r *bufio.Reader) string {
	head, _ := r.Peek(headSize) // likewise
	return string(head)
}
