//go:build !linux

package process

import (
	"context"
	"errors"
	"time"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/runtime/format/place"
)

var errSystem = errors.New("reading another process is not supported on this system, only on Linux")

func isMainThread() bool { return false }

// A Stopped is not available on this system.
type Stopped struct {
	Threads []Thread
	Missed  []Missed
	Since   time.Time
}

// Stop fails on this system.
func Stop(context.Context, *Process, StopOptions) (*Stopped, error) { return nil, errSystem }

// Resume does nothing on this system.
func (s *Stopped) Resume() {}

// An Image is not available on this system.
type Image struct{}

// Image fails on this system.
func (p *Process) Image() (*Image, error) { return nil, errSystem }

// Check fails on this system.
func (i *Image) Check() error { return errSystem }

// DataPages are not available on this system.
type DataPages struct{}

// DataPages returns nothing on this system.
func (i *Image) DataPages() (DataPages, bool) { return DataPages{}, false }

// CheckKept fails on this system.
func (i *Image) CheckKept(DataPages) error { return errSystem }

// Close does nothing on this system.
func (i *Image) Close() error { return nil }

// Clock returns 0 on this system.
func Clock() int64 { return 0 }

func supported() error                                         { return errSystem }
func isNoProcess(err error) bool                               { return errors.Is(err, ErrGone) }
func isForbidden(error) bool                                   { return false }
func isUnmapped(error) bool                                    { return false }
func readVM(int, []byte, memory.Address) (int, error)          { return 0, errSystem }
func readVMMany(int, []memory.Piece) (n, tried int, err error) { return 0, 0, errSystem }

// Killed returns nil on this system.
func (c Call) Killed() error { return nil }

// Filtered returns nil on this system.
func (c Call) Filtered() error { return nil }

// Allowed fails on this system.
func Allowed() error { return errSystem }

// A Host is where and since when a process runs.
type Host struct {
	Started        time.Time
	Resident, Peak uint64
	Place          place.Place
	Limits         []Limit
}

// A Limit is a limit of the process' control group.
type Limit struct{ Name, Value string }

// Host returns nothing on this system.
func (p *Process) Host() Host { return Host{} }

// Descriptor returns "" on this system.
func (p *Process) Descriptor(int) string { return "" }

// File returns "" on this system.
func (p *Process) File(int, string) string { return "" }

// SharesFiles returns true on this system.
func (p *Process) SharesFiles(int) bool { return true }

// Child returns "" on this system.
func (p *Process) Child(int) string { return "" }

// Names returns nil on this system.
func (p *Process) Names() *Names { return nil }
