// Package minidump keeps Qualcomm's Minidump table of contents in a shared
// file, as the kernel driver keeps it in the memory that it shares with the
// firmware: the program's regions, and before them the head of a core image, so
// that the files that an agent makes of the regions, concatenated, are a core.
//
//	md, err := minidump.Open("/dev/shm/shop.minidump")
//	…
//	defer md.Close()
//
// meminspect minidump export plays the agent.
package minidump

import (
	"errors"
	"fmt"

	"github.com/meminspect/meminspect/runtime/format/minidump"
)

// ErrFull says that the table has as many regions as it may have.
var ErrFull = errors.New("the table of contents is full")

// ErrUnsupported says that this system has no shared table.
var ErrUnsupported = errors.New("minidump tables are not supported on this system")

// An Option changes what Open does.
type Option func(*options)

type options struct{ regions int }

// Regions has the table take up to n regions, the two of the core image's head
// included. Without it the limit is 201: old firmware takes no more from one
// subsystem. Every registration writes the head of the image anew, which takes
// about a microsecond for each region that stands.
func Regions(n int) Option { return func(o *options) { o.regions = n } }

// leastRegions are the head of the image and vmcoreinfo.
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
