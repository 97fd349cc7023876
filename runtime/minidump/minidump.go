// Package minidump keeps Qualcomm's Minidump table of contents in a shared
// file, as the kernel driver keeps it in the memory that it shares with the
// firmware: the program's regions, preceded by the head of a core image. The
// concatenation of the files that an agent writes for the regions is a core.
//
//	md, err := minidump.Open("/dev/shm/shop.minidump")
//	…
//	defer md.Close()
//
// The command meminspect minidump export does the agent's work.
package minidump

import (
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/runtime/format/minidump"
)

// ErrFull reports that the table has reached its maximum number of regions.
var ErrFull = errors.New("meminspect: minidump: the table of contents is full")

// ErrUnsupported reports that this system has no shared table.
var ErrUnsupported = errors.New("meminspect: minidump tables are not supported on this system")

// An Option changes what Open does.
type Option func(*options)

type options struct{ regions int }

// Regions sets the maximum number of regions in the table, the two of the core
// image's head included. The default is 201: old firmware reads no more from
// one subsystem. Every registration rewrites the head of the image, which takes
// about a microsecond per registered region.
func Regions(n int) Option { return func(o *options) { o.regions = n } }

// leastRegions counts the head of the image and vmcoreinfo.
const leastRegions = 2

func parse(opts []Option) (options, error) {
	o := options{regions: minidump.MaxRegions}
	for _, opt := range opts {
		opt(&o)
	}
	if o.regions <= leastRegions || o.regions > 1<<20 {
		return o, fmt.Errorf("minidump: a table of %d regions", o.regions)
	}
	return o, nil
}
