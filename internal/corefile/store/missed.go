//go:build linux

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/meminspect/meminspect/internal/plainfile"
)

// Supervisors that cannot lock the limits count their refusals without the
// lock: each appends a line with one write call, which is atomic. The next
// supervisor that gets the lock adds them to the limits.

// countMissed appends a refusal.
func (s *Store) countMissed(program, reason string) error {
	f, err := plainfile.OpenFile(filepath.Join(s.dir, missedFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("count a refusal: %w", err)
	}
	_, err = fmt.Fprintf(f, "%q %q\n", program, reason)
	return errors.Join(err, f.Close())
}

// addMissed moves the refusals to the limits. The caller has the lock. The file is
// renamed first: a supervisor that opened it before that may append to it while it
// is read, and is then not counted.
func (s *Store) addMissed(all map[string]*history) {
	path := filepath.Join(s.dir, missedFile)
	if os.Rename(path, path+".read") != nil {
		return
	}
	defer os.Remove(path + ".read")
	text, err := plainfile.Read(path+".read", maxLimits)
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
