//go:build !linux

package corefile

import (
	"errors"
	"fmt"
	"os"
)

// InMemory returns an empty file that is in memory only, where the system has
// such files.
func InMemory(string) (*os.File, error) {
	return nil, fmt.Errorf("create a file in memory: %w: decrypt the core first with age", errors.ErrUnsupported)
}
