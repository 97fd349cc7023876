package corefile

import (
	"bufio"
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/klauspost/compress/zstd"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// Errors of files that cannot be opened directly.
var (
	ErrEncrypted = errors.New("core is encrypted: give the file of a secret key with --identity")
	ErrTooLarge  = errors.New("the decompressed core is too large")
	ErrNoRoom    = errors.New("no room for the decompressed copy of the core")
	ErrPacked    = errors.New("unsupported compression")
)

// First bytes of files.
const (
	zstdMagic = "\x28\xb5\x2f\xfd"
	ageMagic  = "age-encryption.org/v1"
)

// packed lists compression formats that are not supported, and the commands
// that decompress them.
var packed = []struct{ magic, name, undo string }{
	{"\x04\x22\x4d\x18", "lz4", "lz4 -dc"},
	{"\xfd7zXZ\x00", "xz", "xz -dc"},
	{"\x1f\x8b", "gzip", "gzip -dc"},
	{"BZh", "bzip2", "bzip2 -dc"},
}

// OpenOptions select how to open a core.
type OpenOptions struct {
	Identities []age.Identity // for an encrypted core; see [ParseIdentities]

	// MaxBytes bounds the size of a core that is decompressed or comes through a
	// pipe; 0 is [DefaultMaxBytes].
	MaxBytes int64

	// Dir is the directory for the temporary copy of a core that comes through a
	// pipe, or that is compressed in a way that cannot be read in parts; "" is the
	// system's. The decompressed copy of an encrypted core is in memory instead.
	// Room is how many bytes of the disk the copy may use, without its holes; 0 is
	// all but 256 MiB of the free space.
	Dir  string
	Room int64
}

// DefaultMaxBytes is the default of [OpenOptions].
const DefaultMaxBytes = 16 << 30

// limit returns the bound of the decompressed size.
func (o *OpenOptions) limit() int64 {
	if o.MaxBytes > 0 {
		return o.MaxBytes
	}
	return DefaultMaxBytes
}

func tooLarge(limit int64) error {
	return fmt.Errorf("%w: it has more than %s", ErrTooLarge, bytesize.Format(uint64(limit)))
}

// A File is an open core, decrypted and decompressed.
type File struct {
	io.ReaderAt
	Path       string // "" for a stream
	Size       int64  // decrypted and decompressed
	Stored     int64  // bytes of the file at Path
	Modified   time.Time
	Compressed bool
	Encrypted  bool

	// Truncated is the reason why a compressed core ends early, nil if it is
	// complete. Size counts the decompressed bytes.
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

// Like reports whether the regular file at path begins like a core: plain, compressed or
// encrypted.
func Like(path string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false // a pipe can be opened once
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := headOf(f)
	return slices.ContainsFunc([]string{elf.ELFMAG, zstdMagic, ageMagic, armor.Header}, func(magic string) bool { return strings.HasPrefix(head, magic) })
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
		if f.ReaderAt, f.Size, err = openChunks(in, info.Size(), o.Identities); err != nil {
			return nil, fmt.Errorf("decrypt: %w", err)
		}
		f.Encrypted = true
		head = headOf(f)
	}
	if encoded(head) {
		decoded, err := decode(f, head, o)
		if err != nil {
			return nil, err
		}
		decoded.Encrypted = decoded.Encrypted || f.Encrypted
		f = decoded
	}
	f.Stored, f.Modified = info.Size(), info.ModTime()
	return f, nil
}

// decode opens a core whose first bytes are head: in place if it is compressed in
// frames, else as a copy.
func decode(f *File, head string, o OpenOptions) (*File, error) {
	if strings.HasPrefix(head, zstdMagic) {
		core, truncated, err := openFrames(f, f.Size, o.limit())
		if err == nil {
			return &File{ReaderAt: core, Size: core.size, Compressed: true, Truncated: truncated, closers: []io.Closer{core}}, nil
		}
		if !errors.Is(err, errFrames) {
			return nil, err
		}
	}
	return spool(io.NewSectionReader(f, 0, f.Size), f.Encrypted, o)
}

// Read reads a core from a stream into a temporary copy, decrypted and
// decompressed. The caller closes the File.
func Read(r io.Reader, o OpenOptions) (*File, error) { return spool(r, false, o) }

// spool copies a stream to a file without a name, in memory if the core is
// secret.
func spool(r io.Reader, secret bool, o OpenOptions) (*File, error) {
	plain, encoding, err := NewReader(r, o)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	f := &File{Compressed: encoding.Compressed, Encrypted: encoding.Encrypted}
	temp, room, err := temporary(&o, secret || encoding.Encrypted)
	if err != nil {
		return nil, err
	}
	sparse := elfcore.NewSparse(Limit(temp, room, fmt.Errorf("%w in %s: set TMPDIR to a directory with room", ErrNoRoom, o.dir())))
	limited := &limitedReader{plain, o.limit(), o.limit()}
	f.Size, err = io.CopyBuffer(onlyWriter{sparse}, limited, make([]byte, 1<<20))
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

// freeOnDisk is the space that a temporary copy leaves free on a file system.
const freeOnDisk = 256 << 20

// dir returns the directory for temporary copies.
func (o *OpenOptions) dir() string { return cmp.Or(o.Dir, os.TempDir()) }

// removed returns an empty file in dir whose name it removes.
func removed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".meminspect-*")
	if err == nil {
		os.Remove(f.Name())
	}
	return f, err
}

// temporary returns an empty file without a name, and how many bytes it may take.
func temporary(o *OpenOptions, secret bool) (f *os.File, room int64, err error) {
	if secret {
		f, err = InMemory("core")
		return f, math.MaxInt64, err
	}
	if f, err = unnamed(o.dir()); err != nil {
		return nil, 0, err
	}
	if o.Room > 0 {
		return f, o.Room, nil
	}
	return f, max(free(f)-freeOnDisk, 0), nil
}

// An Encoding is how a core was stored.
type Encoding struct{ Compressed, Encrypted bool }

// NewReader returns a reader of the core in r, decrypted and decompressed. A
// stream that is neither encrypted nor compressed is read unchanged.
// Decompressing more than o.MaxBytes fails.
func NewReader(r io.Reader, o OpenOptions) (io.ReadCloser, Encoding, error) {
	plain, e, err := newReader(r, o.Identities)
	if err != nil {
		return nil, e, err
	}
	if e.Compressed {
		plain = &limitedReader{plain, o.limit(), o.limit()}
	}
	return plain, e, nil
}

// A limitedReader fails if more than its limit is read.
type limitedReader struct {
	io.ReadCloser
	left, limit int64
}

// Read implements io.Reader.
func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, tooLarge(l.limit)
	}
	return n, err
}

func newReader(r io.Reader, identities []age.Identity) (io.ReadCloser, Encoding, error) {
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

func headOf(f io.ReaderAt) string {
	head := make([]byte, headSize)
	n, _ := f.ReadAt(head, 0) // the first read of the core returns the error again
	return string(head[:n])
}

func peek(r *bufio.Reader) string {
	head, _ := r.Peek(headSize) // likewise
	return string(head)
}
