package gen

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// temporary begins the names of files that are being written. A run that was
// killed leaves at most one behind, which a later run in the folder removes.
const temporary = ".meminspect-"

// replace makes a change in one step: whoever looks sees the old file or the
// new one, also when the run is killed at any moment.
func replace(o *overlay, change Change) error {
	path := o.actual(change.Path)
	if path == "" {
		path = change.Path
	}
	if change.New == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing: %w", err)
		}
		return nil
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link stays a link
	}
	dir := filepath.Dir(path)
	removeLeftovers(dir)
	f, err := os.CreateTemp(dir, temporary+"*.tmp")
	if err != nil {
		return fmt.Errorf("writing %s: %w", change.Path, err)
	}
	defer os.Remove(f.Name()) // gone already when all went well
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	_, err = f.Write(change.New)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", change.Path, err)
	}
	return nil
}

// removeLeftovers removes what killed runs left in a folder.
func removeLeftovers(dir string) {
	old, err := filepath.Glob(filepath.Join(dir, temporary+"*.tmp"))
	if err != nil {
		return
	}
	for _, name := range old {
		// A young one may belong to a run beside this one.
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > time.Minute {
			os.Remove(name) // the next run tries again
		}
	}
}

var linePositions = regexp.MustCompile(`(Pos:\s*"[^":]*):[0-9]+"`)

// onlyLinesMoved tells that a generated file differs in the lines of positions
// alone: an edit further up in a source file is no reason to fail a check.
func onlyLinesMoved(change Change) bool {
	if change.Old == nil || change.New == nil {
		return false
	}
	mask := func(text []byte) []byte { return linePositions.ReplaceAll(text, []byte(`$1"`)) }
	return bytes.Equal(mask(change.Old), mask(change.New))
}
