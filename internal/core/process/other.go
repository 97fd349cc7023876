//go:build !linux

package process

import (
	"context"
	"errors"

	"github.com/meminspect/meminspect/internal/core/memory"
)

var errSystem = errors.New("reading another process is not supported on this system, only on Linux")

func isMainThread() bool { return false }

// Stop fails on this system.
func (t *Tracer) Stop(context.Context, *Process, StopOptions) (*Stopped, error) {
	return nil, errSystem
}

// Resume does nothing on this system.
func (s *Stopped) Resume() error { return nil }

func supported() error                                         { return errSystem }
func isNoProcess(err error) bool                               { return errors.Is(err, ErrGone) }
func isForbidden(error) bool                                   { return false }
func isUnmapped(error) bool                                    { return false }
func readVM(int, []byte, memory.Address) (int, error)          { return 0, errSystem }
func readVMMany(int, []memory.Piece) (n, tried int, err error) { return 0, 0, errSystem }

// Allowed fails on this system.
func Allowed() error { return errSystem }
