package linker

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/gocore/embedded"
)

// writeSection atomically replaces the file at path by one with the section: a
// reader opens the old or the new file. The new file has the mode, owner and
// extended attributes of the old one; if that fails, or if the old file is not
// the build that the section belongs to, the old file stays.
func writeSection(path string, build embedded.Build, section []byte) error {
	// A link stays a link.
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if err := checkAttributes(src); err != nil {
		return err
	}
	file, err := exe.New(src, info.Size())
	if err != nil {
		return err
	}
	if now, err := embedded.BuildOf(file); err != nil || now != build {
		return fmt.Errorf("%s was replaced by another build while it was read", path)
	}
	e, err := planSection(src, info.Size(), file, section)
	if err != nil {
		return err
	}
	dst, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(dst.Name()) // fails after success, because the file was renamed
	defer dst.Close()
	if err := e.write(dst, src); err != nil {
		return err
	}
	if err := keepOwner(dst, info); err != nil {
		return fmt.Errorf("keep the owner of %s: %w", path, err)
	}
	// Set the mode after the owner: changing the owner clears set-user-ID bits.
	if err := dst.Chmod(info.Mode()); err != nil {
		return err
	}
	if err := copyAttributes(dst, src); err != nil {
		return fmt.Errorf("keep the attributes of %s: %w", path, err)
	}
	if err := dst.Sync(); err != nil {
		return err
	}
	if err := dst.Close(); err != nil {
		return err
	}
	return os.Rename(dst.Name(), path)
}

// write writes the edited file.
func (e *edit) write(dst io.Writer, src io.ReaderAt) error {
	if _, err := dst.Write(e.header); err != nil {
		return err
	}
	rest := io.NewSectionReader(src, int64(len(e.header)), e.keep-int64(len(e.header)))
	if _, err := io.Copy(dst, rest); err != nil {
		return err
	}
	_, err := dst.Write(e.tail)
	return err
}
