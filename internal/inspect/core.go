// Package inspect reads cores: what a core says about the process, its regions
// and how each of them ended. It reads what this project's programs and
// collector wrote, and of anybody else's core what Linux's notes tell.
package inspect

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/format/vmcoreinfo"
)

// ErrNoRegions says that a core has no region table: something else wrote it.
var ErrNoRegions = errors.New("core has no region table: it was not written by meminspect")

// ErrEncrypted says that a core must be decrypted before it is read.
var ErrEncrypted = errors.New("core is encrypted; decrypt it first: age --decrypt -i KEY CORE")

// A Core is an opened core file. Fields are nil or empty where the core does
// not say.
type Core struct {
	*elfcore.File
	Path       string
	Bytes      int64 // of the file, decompressed
	Compressed int64 // bytes of the file as it is, 0 when that is not compressed

	Capture  *note.Capture
	Regions  []note.Region
	Receipts []note.Receipt
	Crash    *note.CrashText
	Extras   []note.Extra
	VMCore   *vmcoreinfo.Info

	Process *elfcore.Process
	Threads []elfcore.Thread
	Signal  *elfcore.SigInfo
	Files   []elfcore.Mapping

	hasRegions bool
	close      func() error
}

// Open opens a core file. A core compressed with zstd is decompressed into a
// temporary file first. Notes that cannot be read are errors; contents that a
// truncated file lacks are not, see Missing. The caller closes the Core.
func Open(path string) (*Core, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open core: %w", err)
	}
	c, err := open(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open core %s: %w", path, err)
	}
	c.Path = path
	return c, nil
}

func open(f *os.File) (*Core, error) {
	head := make([]byte, 21)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	head = head[:n]
	switch {
	case n >= 4 && string(head[:4]) == "\x28\xb5\x2f\xfd":
		plain, err := decompress(f)
		if err != nil {
			return nil, fmt.Errorf("decompress: %w", err)
		}
		c, err := openPlain(plain)
		if err != nil {
			plain.Close()
			return nil, err
		}
		if info, err := f.Stat(); err == nil {
			c.Compressed = info.Size()
		}
		return c, f.Close()
	case string(head) == "age-encryption.org/v1":
		return nil, ErrEncrypted
	}
	return openPlain(f)
}

// decompress returns a file without a name that holds what f decompresses to.
func decompress(f *os.File) (*os.File, error) {
	s, err := fullcore.Spool("", f, 0)
	if err != nil {
		return nil, err
	}
	if s.Cut != nil {
		s.File.Close()
		return nil, s.Cut
	}
	return s.File, nil
}

func openPlain(f *os.File) (*Core, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is no regular file")
	}
	c, err := Read(f, info.Size())
	if err != nil {
		return nil, err
	}
	c.close = f.Close
	return c, nil
}

// Read reads a core of size bytes that r holds. The Core reads memory through
// r as long as it is used.
func Read(r io.ReaderAt, size int64) (*Core, error) {
	file, err := elfcore.Open(r, size)
	if err != nil {
		return nil, err
	}
	c := &Core{File: file, Bytes: size, close: func() error { return nil }}
	for i := range file.Notes {
		n := &file.Notes[i]
		if err := c.note(n); err != nil {
			return nil, fmt.Errorf("note %d, %s/%#x: %w", i, n.Name, n.Type, err)
		}
	}
	linux, err := file.Linux()
	if err != nil {
		return nil, err
	}
	c.Process, c.Signal, c.Files = linux.Process, linux.Signal, linux.Files
	for i := range linux.Threads {
		c.Threads = append(c.Threads, linux.Threads[i].Thread)
	}
	return c, nil
}

// Close releases the file.
func (c *Core) Close() error { return c.close() }

// NeedRegions returns ErrNoRegions when the core has no region table at all;
// one with an empty table is fine.
func (c *Core) NeedRegions() error {
	if !c.hasRegions {
		return ErrNoRegions
	}
	return nil
}

func (c *Core) note(n *elfcore.Note) (err error) {
	switch {
	case n.Name == note.Owner:
		return c.own(n)
	case n.Name == elfcore.OwnerVMCoreInfo && n.Type == elfcore.NTVMCoreInfo:
		c.VMCore, err = vmcoreinfo.Parse(n.Desc)
	}
	return err
}

func (c *Core) own(n *elfcore.Note) (err error) {
	switch n.Type {
	case note.TypeCapture:
		c.Capture, err = note.DecodeCapture(n.Desc)
	case note.TypeRegions, note.TypeDenseRegions:
		var rs []note.Region
		if n.Type == note.TypeDenseRegions {
			rs, err = note.DecodeDenseRegions(n.Desc)
		} else {
			rs, err = note.DecodeRegions(n.Desc)
		}
		c.Regions = append(c.Regions, rs...)
		c.hasRegions = true
	case note.TypeReceipts:
		var rs []note.Receipt
		rs, err = note.DecodeReceipts(n.Desc)
		c.Receipts = append(c.Receipts, rs...)
	case note.TypeCrash:
		c.Crash, err = note.DecodeCrashText(n.Desc)
	case note.TypeExtra:
		var x *note.Extra
		if x, err = note.DecodeExtra(n.Desc); err == nil {
			c.Extras = append(c.Extras, *x)
		}
	}
	return err
}

// Captured returns how many bytes of memory the core holds and how many it
// marks as not captured.
func (c *Core) Captured() (held, marked uint64) {
	for i := range c.Loads {
		if l := &c.Loads[i]; l.Marked() {
			marked += l.FileSize
		} else {
			held += l.FileSize
		}
	}
	return held, marked
}
