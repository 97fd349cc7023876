// Package corefile handles the file that contains a core: its name, its
// compression and encryption, writing it so that it is never incomplete under
// its name, and opening it again.
package corefile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"filippo.io/age"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// A Form describes how a core is stored. The zero value stores it unchanged.
type Form struct {
	Compress   bool            // with zstd
	Recipients []age.Recipient // encrypt for each of them; see [ParseRecipients]
}

// Suffix returns what the form appends to a core's name.
func (f Form) Suffix() string {
	suffix := ""
	if f.Compress {
		suffix += ".zst"
	}
	if len(f.Recipients) > 0 {
		suffix += ".age"
	}
	return suffix
}

// Encoded reports whether the stored bytes differ from the core's own.
func (f Form) Encoded() bool { return f.Suffix() != "" }

// From returns the function that writes core, as [Form.Write], [Save] and the
// packages below this one take it.
func From(core io.WriterTo) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := core.WriteTo(w)
		return err
	}
}

// Write calls write with a writer that compresses and encrypts into w. A core
// in the clear leaves holes in a regular file where it has zeros.
func (f Form) Write(w io.Writer, write func(io.Writer) error) error {
	if file, ok := w.(sparseFile); ok && !f.Encoded() && isRegular(file) {
		sparse := elfcore.NewSparse(file)
		if err := buffered(sparse, write); err != nil {
			return err
		}
		return sparse.Finish()
	}
	var layers []io.Closer // from the outermost in
	if len(f.Recipients) > 0 {
		encrypted, err := age.Encrypt(w, f.Recipients...)
		if err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		w, layers = encrypted, append(layers, encrypted)
	}
	if f.Compress {
		compressed, err := newFrameWriter(w)
		if err != nil {
			return fmt.Errorf("compress: %w", err)
		}
		w, layers = compressed, append(layers, compressed)
	}
	if err := buffered(w, write); err != nil {
		return err
	}
	var failed error
	for i := len(layers) - 1; i >= 0; i-- {
		failed = errors.Join(failed, layers[i].Close())
	}
	return failed
}

// buffered writes in large pieces: a core consists of many small ones.
func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 256<<10)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

// A sparseFile is a file that may be regular; an [*os.File] is one.
type sparseFile interface {
	elfcore.SparseFile
	Stat() (fs.FileInfo, error)
}

func isRegular(f sparseFile) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}
