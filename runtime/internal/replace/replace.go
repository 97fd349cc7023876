// Package replace writes files that have their names only when they are whole.
package replace

import (
	"fmt"
	"os"
	"path/filepath"
)

// File has write fill a new file of mode 0600 and gives it the path, in the
// place of the file that is there. When it fails, that one is left alone and
// nothing else is left behind. What is no regular file is never replaced: for
// root, a rename onto /dev/null would take it from everybody.
func File(path string, write func(*os.File) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return fmt.Errorf("%s is a directory: name a file in it", path)
		}
		return fmt.Errorf("%s is no regular file", path)
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
