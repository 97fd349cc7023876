//go:build linux

package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/corefile"
)

// Write stores a core of about size bytes under name, or under name with a
// number if name is taken, and returns its path. It first makes room according
// to the policy, and returns a *RefusedError for a core that would use the
// reserved space, even if that shows only while it is written; a size of 0
// means unknown. It leaves nothing of an incomplete core.
func (s *Store) Write(name string, size int64, write func(io.Writer) error) (path string, err error) {
	if err := s.prepare(); err != nil {
		return "", err
	}
	if err := s.makeRoom(size); err != nil {
		return "", err
	}
	room, err := s.room()
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(s.dir, "."+name+partial+"*") // 0600
	if err != nil {
		return "", fmt.Errorf("storing the core: %w", err)
	}
	defer os.Remove(f.Name()) // fails once it has its name
	err = write(corefile.Limit(f, room, errNoRoom))
	if err == nil {
		// The machine may crash next.
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("storing the core: %w", err)
	}
	path, err = s.publish(f.Name(), name)
	if err != nil {
		return "", fmt.Errorf("storing the core: %w", err)
	}
	if size == 0 {
		err = s.retain(0, 0)
	}
	return path, err
}

// room returns how many bytes one core may use.
func (s *Store) room() (int64, error) {
	free, err := s.Free()
	if err != nil {
		return 0, err
	}
	room := max(free-s.policy.MinFreeBytes, 0)
	if s.policy.MinFreeBytes <= 0 {
		room = math.MaxInt64
	}
	if s.policy.KeepBytes > 0 {
		room = min(room, s.policy.KeepBytes)
	}
	return room, nil
}

// errNoRoom is returned for a core that turns out too large while it is
// written.
var errNoRoom = &RefusedError{Why: "the core is larger than --keep-bytes, or would leave less disk space than --free"}

// publish gives a complete file its final name, and never replaces a file.
func (s *Store) publish(from, name string) (string, error) {
	taken := name
	for n := 1; ; n++ {
		path := filepath.Join(s.dir, name)
		err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
			// The file system lacks RENAME_NOREPLACE. Link does not replace a
			// file either.
			if err = os.Link(from, path); errors.Is(err, unix.EPERM) {
				err = os.Rename(from, path)
			}
		}
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrExist) || n > 1000 {
			return "", err
		}
		name = corefile.Numbered(taken, n)
	}
}

// A core is a core in the directory.
type core struct {
	path string
	size int64 // on disk
	when time.Time
}

// cores lists the cores, oldest first, and removes the files of writers that
// died.
func (s *Store) cores() ([]core, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("listing the store: %w", err)
	}
	var cores []core
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // removed since, or not ours
		}
		path := filepath.Join(s.dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			if strings.Contains(e.Name(), partial) && s.now().Sub(info.ModTime()) > stale {
				os.Remove(path)
			}
			continue
		}
		if !corefile.IsName(e.Name()) {
			continue // another program's: never removed
		}
		size := info.Size()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			size = st.Blocks * 512
		}
		cores = append(cores, core{path, size, info.ModTime()})
	}
	slices.SortStableFunc(cores, func(a, b core) int { return a.when.Compare(b.when) })
	return cores, nil
}

// makeRoom removes old cores until one more of that size fits into the policy.
func (s *Store) makeRoom(size int64) error {
	p := s.policy
	if p.KeepBytes > 0 && size > p.KeepBytes {
		return &RefusedError{Why: fmt.Sprintf("the core of %s is larger than all cores may be (--keep-bytes %s)", bytesize.Short(uint64(size)), bytesize.Short(uint64(p.KeepBytes)))}
	}
	if err := s.retain(size, 1); err != nil {
		return err
	}
	free, err := s.Free()
	if err != nil {
		return err
	}
	if p.MinFreeBytes > 0 && free-size < p.MinFreeBytes {
		return &RefusedError{Why: fmt.Sprintf("%s are free in %s; --free keeps %s free, and the core of %s does not fit", bytesize.Short(uint64(free)), s.dir, bytesize.Short(uint64(p.MinFreeBytes)), bytesize.Short(uint64(size)))}
	}
	return nil
}

// retain removes old cores until the policy allows more additional cores of
// size bytes in total. At least one core is left, counting the additional ones.
func (s *Store) retain(size int64, more int) error {
	cores, err := s.cores()
	if err != nil {
		return err
	}
	total := size
	for _, c := range cores {
		total += c.size
	}
	for p := s.policy; len(cores) > 1-more; cores = cores[1:] {
		c := cores[0]
		tooMany := p.Keep > 0 && len(cores)+more > p.Keep
		tooLarge := p.KeepBytes > 0 && total > p.KeepBytes
		tooOld := p.KeepAge > 0 && s.now().Sub(c.when) > p.KeepAge
		if !tooMany && !tooLarge && !tooOld {
			break
		}
		if err := os.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing an old core: %w", err)
		}
		total -= c.size
	}
	return nil
}

// Free returns the number of bytes of the file system that we may use.
func (s *Store) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return 0, fmt.Errorf("asking for free space: %w", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // an int32 on 386
}
