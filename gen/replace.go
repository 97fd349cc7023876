package gen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/meminspect/meminspect/internal/folders"
	"github.com/meminspect/meminspect/internal/ledger"
)

// applyChanges writes all ledgers before all generated files, so that no
// generated file ever uses an ID that its ledger lacks. It returns the changes
// that it made, in that order.
func applyChanges(ctx context.Context, o *folders.Overlay, changes []Change) ([]Change, error) {
	var ledgers, others []Change
	for _, change := range changes {
		if filepath.Base(change.Path) == ledger.FileName {
			ledgers = append(ledgers, change)
		} else {
			others = append(others, change)
		}
	}
	made, err := replaceAll(ctx, o, ledgers)
	if err != nil {
		return made, err
	}
	more, err := replaceAll(ctx, o, others)
	return append(made, more...), err
}

// replaceAll makes the changes, several at a time: creating files takes most of
// the time of a first run. After an error it starts no further changes.
func replaceAll(ctx context.Context, o *folders.Overlay, changes []Change) ([]Change, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	made := make([]bool, len(changes))
	parallel(len(changes), func(i int) {
		if ctx.Err() != nil {
			return
		}
		if err := replace(o, changes[i]); err != nil {
			cancel(err)
			return
		}
		made[i] = true
	})
	i := 0
	done := slices.DeleteFunc(slices.Clone(changes), func(Change) bool { i++; return !made[i-1] })
	if len(done) < len(changes) {
		return done, context.Cause(ctx)
	}
	return done, nil
}

// replace makes one change atomically: a reader sees the old file or the new
// one, even if the run is killed at any moment. It does not sync to disk: after
// a power failure a file may be empty, which the next run reports.
func replace(o *folders.Overlay, change Change) error {
	path := o.Actual(change.Path)
	if path == "" {
		path = change.Path
	}
	if change.New == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove: %w", err)
		}
		return nil
	}
	if err := write(path, change.New); err != nil {
		return fmt.Errorf("write %s: %w", change.Path, err)
	}
	return nil
}

// write writes a temporary file in the folder of path and renames it. An
// existing file keeps its mode, and a symbolic link stays a link.
func write(path string, data []byte) error {
	mode := os.FileMode(0)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	temporary := filepath.Join(filepath.Dir(path), fmt.Sprintf("%s%016x.tmp", folders.TemporaryPrefix, rand.Uint64()))
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if mode != 0 {
		err = errors.Join(err, f.Chmod(mode))
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		os.Remove(temporary) // return the first error
	}
	return err
}

// removeLeftovers removes the temporary files of killed runs from a folder. A
// recent file may belong to a concurrent run.
func removeLeftovers(f *folder) {
	for _, name := range f.Leftovers {
		name = filepath.Join(f.out, name)
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > time.Minute {
			os.Remove(name) // the next run tries again
		}
	}
}
