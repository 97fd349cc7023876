// Package coreimage writes an ELF core of the running program itself: the
// memory of its regions, and enough about the process for gdb and Delve to open
// it. Marked segments cover the rest of the executable's writable memory, so a
// debugger shows 0xA5 in every byte that was not captured, and not a stale
// value.
//
// The program continues while its memory is read. Each region is read twice; if
// the readings differ, the core reports the region as torn. Memory that is neither
// of Go's garbage collector nor of variables of Go code is read through the
// kernel: where it does not exist, the core has a hole, and the program has no
// fault.
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
	// ErrUnsupported is returned if no core can be written: outside linux/amd64
	// and linux/arm64, and in programs built with the tag meminspect_off.
	ErrUnsupported = errors.New("meminspect: core image: not supported by this system or build")
	// ErrNoRoom is returned if RLIMIT_FSIZE is smaller than the core.
	ErrNoRoom = errors.New("meminspect: core image: larger than the process may write (RLIMIT_FSIZE)")
	// ErrFull is returned for each region that exceeds the limit of a Live.
	ErrFull error = liveimage.ErrFull
	// ErrWeak is returned for each weak region: once the program is dead, no
	// reader can determine whether the region's object still existed.
	ErrWeak error = liveimage.ErrWeak
)

// A Place is the location of one of the files in memory.
type Place struct {
	ID   uint64
	Name string
	Addr uint64
	Size uint64 // true size; the file's size is rounded up to 4, padded with zeros
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
// data and bss. It has no effect if exclusions exist, because these bytes have
// no types that identify the excluded ones; a receipt in the core reports that.
func Data() Option { return func(o *options) { o.data = true } }

// Strict promises that the core contains regions and no other program memory,
// now and in later versions, except the executable's first page and the number
// of goroutines, which debuggers need.
func Strict() Option { return func(o *options) { o.strict = true } }

// Args stores the command line, which may contain secrets. Without it only the
// program's name is stored.
func Args() Option { return func(o *options) { o.args = true } }

// Why stores the reason for the core.
func Why(reason string) Option { return func(o *options) { o.why = reason } }

// Write writes a core of this process to w. It reads memory while it writes,
// and has buffers of at most two megabytes. If it fails, the output is not a
// valid core. If w is a file, the notes precede the memory, where
// crash(8) looks for them; in a stream they follow it.
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

// WriteFile writes a core of this process to a file of mode 0600. The file
// appears under its name only when it is complete, and then replaces an
// existing file of that name. If WriteFile fails, the existing file stays.
// WriteFile rejects a path that is not a regular file, such as a directory or a
// device.
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

// prefixed prefixes the text of an error with the package's name, as the
// sentinels have it.
func prefixed(err error) error {
	if strings.HasPrefix(err.Error(), "meminspect: core image: ") {
		return err
	}
	return fmt.Errorf("meminspect: core image: %w", err)
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

// fileAt returns w from its position on if it is a file that allows writing
// skipped bytes later, else nil.
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
		return nil // a file opened for appending
	}
	return io.NewOffsetWriter(f, at)
}
