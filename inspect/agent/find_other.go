//go:build !unix

package agent

import (
	"errors"

	"github.com/meminspect/meminspect/target"
	"github.com/meminspect/meminspect/target/process"
)

var errSystem = errors.New("processes cannot be read on this system")

// FindTable fails here.
func FindTable(*process.Process) (target.Address, error) { return 0, errSystem }

// FindProcess fails here.
func FindProcess(string) (int, error) { return 0, errSystem }
