// Package coreimage writes an ELF core of the running program itself: the
// memory of its regions, and enough about the process for gdb and Delve to open
// it. The rest of the executable's writable memory is covered by marked
// segments, so that no debugger shows a value that was not captured: it shows
// 0xA5 in every byte.
//
// The program goes on while it is read. Each region is read twice, and one that
// differed says so in the core ("torn"). Memory is read through the kernel, so
// that a region whose memory went away is a hole in the core and no fault in
// the program.
//
// Linux/amd64 and linux/arm64 are supported; elsewhere the functions return
// ErrUnsupported.
package coreimage

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/internal/liveimage"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/replace"
)

// Errors of this package.
var (
	// ErrUnsupported is returned where no core can be written: outside
	// linux/amd64 and linux/arm64, and in programs that are built with the tag
	// meminspect_off.
	ErrUnsupported = errors.New("core image: not supported by this system or build")
	// ErrNoRoom is returned if the process may not write a file as large as the
	// core.
	ErrNoRoom = errors.New("core image: larger than the process may write (RLIMIT_FSIZE)")
	// ErrFull is returned for each region beyond those that a Live has room for.
	ErrFull error = liveimage.ErrFull
	// ErrWeak is returned for each weak region: when the program is dead, nothing
	// can tell whether its object still existed.
	ErrWeak error = liveimage.ErrWeak
)

// A Place is where an agent finds one of the files.
type Place struct {
	ID   uint64
	Name string
	Addr uint64
	Size uint64 // true size; the file's is rounded up to 4, with zeros
}

// An Option changes what Write does.
type Option func(*options)

type options struct {
	data   bool
	strict bool
	args   bool
	why    string
}

// Data also captures the program's unannotated globals: all of the executable's
// data and bss. Where exclusions stand it does not, since the bytes have no
// types that could tell what is excluded; a receipt in the core says so.
func Data() Option { return func(o *options) { o.data = true } }

// Strict promises that the core holds regions and nothing else of the
// program's memory, now and in later versions.
func Strict() Option { return func(o *options) { o.strict = true } }

// Args stores the command line, which may hold secrets; without it the
// program's name alone is stored.
func Args() Option { return func(o *options) { o.args = true } }

// Why stores the reason for the core.
func Why(reason string) Option { return func(o *options) { o.why = reason } }

// Write writes a core of this process to w. It reads while it writes; no more
// than some hundred kilobytes are held. When it fails, what w got is no core.
// If w is a file, the notes are in front of the memory, where crash(8) looks for
// them; in a stream they come after it.
func Write(w io.Writer, opts ...Option) error {
	if registry.Off {
		return ErrUnsupported
	}
	core, err := plan(opts)
	if err != nil {
		return prefixed(err)
	}
	defer core.release()
	later := fileAt(w)
	core.NotesLater = later != nil
	if _, err := core.Write(w); err != nil {
		return prefixed(err)
	}
	if later == nil {
		return nil
	}
	if err := core.WriteNotes(later); err != nil {
		return prefixed(err)
	}
	return nil
}

// WriteFile writes a core of this process to a file of mode 0600. The file has
// its name only when it is whole: a file of that name is replaced then, and
// left alone when WriteFile fails. A path that is there and no regular file, as
// a directory or a device, is refused.
func WriteFile(path string, opts ...Option) error {
	if registry.Off {
		return ErrUnsupported
	}
	core, err := plan(opts)
	if err != nil {
		return prefixed(err)
	}
	defer core.release()
	size, err := core.Size()
	if err != nil {
		return prefixed(err)
	}
	// A write past the limit would raise SIGXFSZ, which ends a Go program.
	if limit := fileSizeLimit(); uint64(size) > limit {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrNoRoom, size, limit)
	}
	if err := replace.File(path, core.writeTo); err != nil {
		return prefixed(err)
	}
	return nil
}

// prefixed begins the text of an error with the package's name, as that of the
// sentinels does.
func prefixed(err error) error {
	if strings.HasPrefix(err.Error(), "core image: ") {
		return err
	}
	return fmt.Errorf("core image: %w", err)
}

// writeTo writes the core to a new file.
func (c *image) writeTo(f *os.File) error {
	c.NotesLater = true
	sparse := elfcore.NewSparse(f)
	buf := bufio.NewWriterSize(sparse, 64<<10)
	if _, err := c.Write(buf); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	if err := sparse.Finish(); err != nil {
		return err
	}
	return c.WriteNotes(f)
}

// fileAt returns w from its position on if it is a file, of which bytes that
// were passed over can be written later, else nil.
func fileAt(w io.Writer) io.WriterAt {
	f, ok := w.(interface {
		io.WriterAt
		io.Seeker
	})
	if !ok {
		return nil
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil // a pipe
	}
	if _, err := f.WriteAt(nil, at); err != nil {
		return nil // a file that is appended to
	}
	return io.NewOffsetWriter(f, at)
}
