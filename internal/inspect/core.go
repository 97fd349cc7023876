// Package inspect reads cores: facts about the process, and its regions with
// their statuses. It reads the cores of this project, and the Linux notes of
// any other core.
package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/format/vmcoreinfo"
)

// ErrNoRegions is wrapped by the errors about a core without a region table: one
// that something else wrote.
var ErrNoRegions = errors.New("it has no regions")

// A Core is an opened core file. Fields are nil or empty where the core does
// not have it.
type Core struct {
	*elfcore.File
	Path       string
	Bytes      int64 // of the file, decompressed
	Compressed int64 // bytes of the file as it is, 0 when that is not compressed
	Encrypted  bool

	Capture  *note.Capture
	Regions  []note.Region
	Receipts []note.Receipt
	Crash    *note.CrashText
	Torn     memory.Ranges      // changed while they were read
	Marked   []note.MarkedRange // sorted
	Extras   []note.Extra
	VMCore   *vmcoreinfo.Info

	Process *elfcore.Process
	Threads []elfcore.Thread
	Signal  *elfcore.SigInfo
	Files   []elfcore.Mapping

	captured, marked uint64 // see Captured
	hasRegions       bool
	contents         io.ReaderAt
	close            func() error
}

// Until returns the time from the capture to a time of the runtime's clock, 0 if that was
// before it or is not known.
func (c *Core) Until(clock int64) time.Duration {
	if c.Capture == nil || c.Capture.Clock == 0 {
		return 0
	}
	return time.Duration(max(clock-c.Capture.Clock, 0))
}

// Open opens a core file, decrypted and decompressed.
// Notes that cannot be read are errors; contents that a truncated file lacks are
// not, see Missing. The caller closes the Core.
func Open(path string) (*Core, error) { return OpenWith(path, corefile.OpenOptions{}) }

// OpenWith is [Open] with options.
func OpenWith(path string, o corefile.OpenOptions) (*Core, error) {
	f, err := corefile.Open(path, o)
	if err != nil {
		return nil, fmt.Errorf("open core %s: %w", path, unwrapPath(err))
	}
	return OfFile(f)
}

// OfFile opens the core in a file, which it closes if that fails. Else the Core closes it.
func OfFile(f *corefile.File) (*Core, error) {
	c, err := openFile(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open core %s: %w", f.Path, err)
	}
	c.Path, c.close = f.Path, f.Close
	return c, nil
}

// unwrapPath removes the path from an error, which names it again.
func unwrapPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func openFile(f *corefile.File) (*Core, error) {
	if f.Truncated != nil {
		return nil, fmt.Errorf("decompress: %w", f.Truncated)
	}
	c, err := Read(memory.NewBlocks(f, f.Size), f.Size) // values are read in pieces of a few bytes
	if err != nil {
		return nil, err
	}
	c.Encrypted = f.Encrypted
	if f.Compressed {
		c.Compressed = f.Stored
	}
	return c, nil
}

// Read reads a core of size bytes that r holds. The Core reads memory through
// r as long as it is used.
func Read(r io.ReaderAt, size int64) (*Core, error) {
	file, err := elfcore.Open(r, size)
	if err != nil {
		return nil, err
	}
	c := &Core{File: file, Bytes: size, contents: r, close: func() error { return nil }}
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
	c.count()
	return c, nil
}

// Contents returns the bytes of the core, decrypted and decompressed, of which there are
// Bytes. They can be read until the core is closed.
func (c *Core) Contents() io.ReaderAt { return c.contents }

// Close releases the file.
func (c *Core) Close() error { return c.close() }

// BuildIDs returns the build IDs of the core's program, each empty if it is not
// known: Go's own, a text, and the GNU linker's, in hexadecimal digits.
func (c *Core) BuildIDs() (goID, gnuID string) {
	if c.Capture != nil {
		goID, gnuID = c.Capture.BuildID, c.Capture.GNUBuildID
	}
	if c.VMCore != nil {
		goID = cmp.Or(goID, c.VMCore.Fields["GOBUILDID"])
		gnuID = cmp.Or(gnuID, c.VMCore.Fields["BUILD-ID"])
	}
	return goID, gnuID
}

// NeedRegions returns ErrNoRegions when the core has no region table at all;
// one with an empty table is fine.
func (c *Core) NeedRegions() error {
	if c.hasRegions {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNoRegions, c.Without())
}

// extents returns what a note lists.
func extents(n *elfcore.Note) (memory.Ranges, error) {
	es, err := note.DecodeExtents(n.Type, n.Desc)
	if err != nil {
		return nil, err
	}
	all := make([]memory.Range, len(es))
	for i, e := range es {
		all[i] = memory.RangeOf(memory.Address(e.Addr), e.Size)
	}
	return memory.RangesOf(all...), nil
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
	case note.TypeTorn:
		c.Torn, err = extents(n)
	case note.TypeMarked:
		var rs []note.MarkedRange
		rs, err = note.DecodeMarked(n.Desc)
		c.addMarked(rs)
	case note.TypeExtra:
		var x *note.Extra
		if x, err = note.DecodeExtra(n.Desc); err == nil {
			c.Extras = append(c.Extras, *x)
		}
	}
	return err
}

// Captured returns how many bytes of the program's memory the core has, and how
// many bytes of its segments are marks: whole segments, and ranges in others.
func (c *Core) Captured() (captured, marked uint64) { return c.captured, c.marked }

// addMarked adds the ranges of a note, which are sorted. Nearly always there is one note.
func (c *Core) addMarked(rs []note.MarkedRange) {
	if c.Marked == nil {
		c.Marked = rs
		return
	}
	c.Marked = append(c.Marked, rs...)
	slices.SortStableFunc(c.Marked, func(a, b note.MarkedRange) int { return cmp.Compare(a.Addr, b.Addr) })
}

// count finds what Captured returns.
func (c *Core) count() {
	var contents []memory.Range
	for i := range c.Loads {
		l := &c.Loads[i]
		if l.Marked() {
			c.marked += l.FileSize
		} else {
			contents = append(contents, memory.RangeOf(memory.Address(l.Addr), l.FileSize))
		}
	}
	all := memory.RangesOf(contents...)
	filled, end := uint64(0), uint64(0)
	for _, m := range c.Marked {
		filled += all.OverlapSize(memory.Range{Start: memory.Address(max(m.Addr, end)), End: memory.Address(m.Addr + m.Size)})
		end = max(end, m.Addr+m.Size)
	}
	c.captured = all.Size() - filled
	c.marked += filled
}

// Filled returns how many segments have memory of the program.
func (c *Core) Filled() (n int) {
	for i := range c.Loads {
		if !c.Loads[i].Marked() {
			n++
		}
	}
	return n
}
