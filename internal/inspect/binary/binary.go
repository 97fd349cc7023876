// Package binary finds the executable of the program that a core was taken of, by
// its build IDs: at its own path, next to the core, in directories, or from a
// debuginfod server.
package binary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/inspect"
)

// A Search is where to look.
type Search struct {
	Path    string   // of the executable; if it is set, nothing else is searched
	Dirs    []string // with all that is below them
	Servers []string // of debuginfod, as in $DEBUGINFOD_URLS
}

// ErrNotFound is wrapped by the error for an executable that is nowhere.
var ErrNotFound = errors.New("the executable of this build is not found")

// Bounds of a search.
const (
	maxFiles = 100_000
	maxBytes = 4 << 30 // of a download
)

// Find returns the path of the executable. One that is downloaded is in the cache
// of the debuginfod clients. It returns an error that wraps [inspect.ErrOtherBuild]
// if the executable at s.Path is of another build, and one that wraps
// [ErrNotFound] with what was tried.
func Find(ctx context.Context, core *inspect.Core, s Search) (string, error) {
	if s.Path != "" {
		f, err := exe.Open(s.Path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if err := core.SameBuild(f); err != nil {
			return "", fmt.Errorf("executable %s: %w", s.Path, err)
		}
		return s.Path, nil
	}
	var tried []string
	for _, path := range likely(core) {
		tried = append(tried, path)
		if isOf(core, path) {
			return path, nil
		}
	}
	for _, dir := range s.Dirs {
		tried = append(tried, dir)
		path, err := below(core, dir)
		if path != "" || err != nil {
			return path, err
		}
	}
	var failed []error
	if _, id := core.BuildIDs(); id != "" {
		for _, server := range s.Servers {
			tried = append(tried, server)
			path, err := download(ctx, core, server, id)
			if path != "" {
				return path, nil
			}
			failed = append(failed, err)
		}
	}
	return "", errors.Join(append([]error{fmt.Errorf("%w: tried %s", ErrNotFound, strings.Join(tried, ", "))}, failed...)...)
}

// likely returns the paths where an executable is without a search.
func likely(core *inspect.Core) []string {
	var paths []string
	if r := core.Capture; r != nil && r.Program != "" {
		if filepath.IsAbs(r.Program) {
			paths = append(paths, r.Program)
		}
		paths = append(paths, filepath.Join(filepath.Dir(core.Path), filepath.Base(r.Program)))
	}
	return paths
}

// isOf reports whether the file is the executable: it has a build ID that the
// core has, and none that differs.
func isOf(core *inspect.Core, path string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := exe.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	goID, gnuID := f.BuildIDs()
	goOfCore, gnuOfCore := core.BuildIDs()
	same := goID != "" && goID == goOfCore || gnuID != "" && gnuID == gnuOfCore
	return same && core.SameBuild(f) == nil
}

// below searches a directory and all below it. Links are not followed.
func below(core *inspect.Core, dir string) (string, error) {
	found, n := "", 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == dir:
			return err
		case err != nil:
			return nil //nolint:nilerr // a directory that may not be read has no executable for us
		case !d.Type().IsRegular():
			return nil
		}
		if n++; n > maxFiles {
			return fmt.Errorf("%s has more than %d files: name a smaller directory", dir, maxFiles)
		}
		if isOf(core, path) {
			found = path
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("search for the executable: %w", err)
	}
	return found, nil
}

// download gets the executable from a debuginfod server, or from the cache.
// https://sourceware.org/elfutils/Debuginfod.html describes both.
func download(ctx context.Context, core *inspect.Core, server, id string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "debuginfod_client", id, "executable")
	if isOf(core, path) {
		return path, nil
	}
	from, err := url.JoinPath(server, "buildid", id, "executable")
	if err != nil {
		return "", fmt.Errorf("debuginfod server %q: %w", server, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return "", fmt.Errorf("debuginfod server %q: %w", server, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("get %s: %s", from, response.Status)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	part, err := os.CreateTemp(filepath.Dir(path), "executable-")
	if err != nil {
		return "", err
	}
	defer os.Remove(part.Name()) // it is gone if it was renamed
	n, err := io.Copy(part, io.LimitReader(response.Body, maxBytes+1))
	if err = errors.Join(err, part.Close()); err != nil {
		return "", fmt.Errorf("get %s: %w", from, err)
	}
	if n > maxBytes {
		return "", fmt.Errorf("get %s: it has more than %d bytes", from, int64(maxBytes))
	}
	if !isOf(core, part.Name()) {
		return "", fmt.Errorf("get %s: %w", from, inspect.ErrOtherBuild)
	}
	return path, os.Rename(part.Name(), path)
}
