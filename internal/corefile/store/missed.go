//go:build linux

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/plainfile"
)

// Supervisors that cannot lock the limits count their refusals without that
// lock: each appends a line to a file. The next supervisor that gets the lock
// renames the file, and adds the lines to the limits. A lock of the file itself,
// shared by those who append, lets the reader wait for them: it is held for one
// write. Its holder may be stopped, so others wait for it no longer than a moment.

const moment = time.Second

// countMissed appends a refusal.
func (s *Store) countMissed(program, reason string) error {
	path := filepath.Join(s.dir, missedFile)
	for end := time.Now().Add(moment); ; {
		f, err := plainfile.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("count a refusal: %w", err)
		}
		// A reader may have renamed the file by now.
		if (unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil && isAt(f, path)) || time.Now().After(end) {
			_, err = fmt.Fprintf(f, "%q %q\n", program, reason)
			return errors.Join(err, f.Close())
		}
		f.Close()
		time.Sleep(time.Millisecond)
	}
}

// isAt reports whether an open file is the one at path.
func isAt(f *os.File, path string) bool {
	own, err1 := f.Stat()
	there, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(own, there)
}

// addMissed moves the refusals to the limits. The caller has the lock of these.
func (s *Store) addMissed(all map[string]*history) {
	path := filepath.Join(s.dir, missedFile)
	read := path + ".read"
	if os.Rename(path, read) != nil {
		return
	}
	defer os.Remove(read)
	f, err := plainfile.Open(read)
	if err != nil {
		return
	}
	defer f.Close()
	for end := time.Now().Add(moment); unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxLimits))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		var program, reason string
		if _, err := fmt.Sscanf(line, "%q %q\n", &program, &reason); err == nil {
			historyOf(all, program).Suppressed[reason]++
		}
	}
}
