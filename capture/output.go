package capture

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// An Output says where a core goes and in what form.
type Output struct {
	Path     string   // of the file; empty for FileName in Dir
	Dir      string   // empty for the working directory
	Compress bool     // with zstd
	Encrypt  []string // age recipients ("age1…"); who has one of their keys can read it
}

// FileName is the name of a core in a directory of many:
// PROGRAM.PID.UTCTIME.REASON.core. Of a reason only letters, digits and dashes
// are kept, and so many that the name stays short.
func FileName(program string, pid int, when time.Time, reason string) string {
	return fmt.Sprintf("%s.%d.%s.%s.core", plain(baseName(program), 64), pid,
		when.UTC().Format("20060102T150405.000Z"), plain(reason, 40))
}

// plain keeps what may stand in a file name anywhere.
func plain(s string, most int) string {
	keep := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '-'
	}
	s = strings.Map(keep, s)
	for strings.Contains(s, "--") {
		s = strings.ReplaceAll(s, "--", "-")
	}
	s = strings.Trim(s, "-")
	if len(s) > most {
		s = strings.Trim(s[:most], "-")
	}
	if s == "" {
		return "none"
	}
	return s
}

// Suffix is what the form adds to a file's name.
func (o *Output) Suffix() string {
	s := ""
	if o.Compress {
		s += ".zst"
	}
	if len(o.Encrypt) > 0 {
		s += ".age"
	}
	return s
}

// Recipients reads o.Encrypt; call it before anything is captured.
func (o *Output) Recipients() ([]age.Recipient, error) {
	if len(o.Encrypt) == 0 {
		return nil, nil
	}
	rs, err := age.ParseRecipients(strings.NewReader(strings.Join(o.Encrypt, "\n")))
	if err != nil {
		return nil, fmt.Errorf("recipient: %w", err)
	}
	return rs, nil
}

// Save writes the core to its file and returns the file's path. The file has
// mode 0600 and appears under its name when it is whole and on the disk; what
// fails leaves nothing behind. A character device or a pipe at that path is
// written to and stays what it is.
func (c *Core) Save(o Output) (path string, err error) {
	path = o.Path
	if path == "" {
		s := &c.summary
		path = filepath.Join(o.Dir, FileName(s.Program, s.PID, s.When, s.Reason)+o.Suffix())
	}
	switch info, staterr := os.Stat(path); {
	case staterr != nil || info.Mode().IsRegular():
		err = c.replace(path, &o)
	case info.IsDir():
		err = fmt.Errorf("%s is a directory: name a file in it", path)
	case info.Mode()&(os.ModeCharDevice|os.ModeNamedPipe) != 0:
		err = c.pour(path, &o)
	default: // a disk, a socket
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		return "", fmt.Errorf("save core: %w", err)
	}
	return path, nil
}

// replace gives the file its name when it is whole.
func (c *Core) replace(path string, o *Output) (err error) {
	// CreateTemp makes it 0600.
	f, err := os.CreateTemp(filepath.Dir(path), ".meminspect-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := c.stream(f, o); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// pour writes to what cannot be replaced: for root, a rename would take
// /dev/null from everybody.
func (c *Core) pour(path string, o *Output) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(c.stream(f, o), f.Close())
}

// Stream writes the core to w in the output's form.
func (c *Core) Stream(w io.Writer, o Output) error {
	if err := c.stream(w, &o); err != nil {
		return fmt.Errorf("write core: %w", err)
	}
	return nil
}

func (c *Core) stream(w io.Writer, o *Output) error {
	recipients, err := o.Recipients()
	if err != nil {
		return err
	}
	var closers []io.Closer
	if len(recipients) > 0 {
		sealed, err := age.Encrypt(w, recipients...)
		if err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		w = sealed
		closers = append(closers, sealed)
	}
	if o.Compress {
		packed, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return fmt.Errorf("compress: %w", err)
		}
		w = packed
		closers = append(closers, packed)
	}
	if f, ok := w.(*os.File); ok && regular(f) {
		sparse := elfcore.NewSparse(f)
		if err := c.buffered(sparse); err != nil {
			return err
		}
		return sparse.Finish()
	}
	if err := c.buffered(w); err != nil {
		return err
	}
	var failed error
	for i := len(closers) - 1; i >= 0; i-- {
		failed = errors.Join(failed, closers[i].Close())
	}
	return failed
}

// buffered writes the core in large pieces: it consists of many small ones.
func (c *Core) buffered(w io.Writer) error {
	const size = 256 << 10
	b := bufio.NewWriterSize(w, size)
	if _, err := c.WriteTo(b); err != nil {
		return err
	}
	return b.Flush()
}

func regular(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}
