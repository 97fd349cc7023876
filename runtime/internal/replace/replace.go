// Package replace writes files that appear under their names only when they are
// complete.
package replace

import (
	"fmt"
	"os"
	"path/filepath"
)

// File calls write to fill a new file of mode 0600 and renames it to path,
// replacing an existing file. If it fails, the existing file stays and no
// temporary file is left. It never replaces anything but a regular file: for
// root, a rename onto /dev/null would remove the device for all programs.
func File(path string, write func(*os.File) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return fmt.Errorf("%s is a directory: name a file in it", path)
		}
		return fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	err = write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
