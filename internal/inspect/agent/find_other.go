//go:build !unix

package agent

import (
	"errors"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
)

var errSystem = errors.New("processes cannot be read on this system")

// FindTable fails here.
func FindTable(*process.Process) (memory.Address, error) { return 0, errSystem }

// FindProcess fails here.
func FindProcess(string) (int, error) { return 0, errSystem }
