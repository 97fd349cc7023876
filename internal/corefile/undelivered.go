package corefile

import (
	"fmt"
	"path/filepath"
)

// spoolName is the folder of a directory of cores where cores wait until they are
// sent.
const spoolName = "spool"

// Spool returns the folder of a directory of cores where cores wait until they are
// sent.
func Spool(dir string) string { return filepath.Join(dir, spoolName) }

// Spooled reports whether a path is that of a core in a [Spool].
func Spooled(path string) bool { return filepath.Base(filepath.Dir(path)) == spoolName }

// An UndeliveredError reports that a core was not sent to its destination and is
// stored on this machine.
type UndeliveredError struct {
	Err   error  // why it was not sent
	Path  string // where it is
	Waits bool   // it will be sent later
}

func (e *UndeliveredError) Error() string {
	if e.Waits {
		return fmt.Sprintf("%v; the core waits in %s", e.Err, e.Path)
	}
	return fmt.Sprintf("%v; the core is in %s", e.Err, e.Path)
}

// Unwrap returns the reason.
func (e *UndeliveredError) Unwrap() error { return e.Err }
