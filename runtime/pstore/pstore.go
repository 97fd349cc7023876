// Package pstore keeps the program's last output in a file that outlives it in
// every case. The layout is that of Linux's ramoops: dump records written on
// demand or when a heartbeat was missed, a console that the log ring feeds, and
// the Go runtime's report of a fatal error.
//
//	store, err := pstore.Open("/var/lib/shop/pstore")
//	…
//	ring.Tee(store.Console)
//
// meminspect pstore show prints it. A write is a store to memory: it needs no
// disk, and cannot fail.
package pstore

import (
	"errors"
	"fmt"
)

// Errors of Open and Crash.
var (
	ErrUnsupported = errors.New("meminspect: pstore files are not supported on this system")
	ErrTaken       = errors.New("meminspect: pstore: a supervisor has the crash output")
)

// Sizes are the sizes of the zones in bytes, rounded up to pages, at most 2 GB
// in total. Zero selects the default.
type Sizes struct {
	Records int // number of dump records; default 4
	Record  int // default 64 KB
	Console int // default 256 KB
	Crash   int // default 64 KB
}

// most bounds the size of a store: the format has 32-bit sizes.
const most = 1<<31 - 1

// fill sets the defaults, rounds, and returns the total size.
func (s *Sizes) fill() (total int, err error) {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
		*p = (min(*p, most-4095) + 4095) &^ 4095
	}
	if s.Records <= 0 {
		s.Records = 4
	}
	def(&s.Record, 64<<10)
	def(&s.Console, 256<<10)
	def(&s.Crash, 64<<10)
	sum := int64(s.Console) + int64(s.Crash)
	if s.Records > most || sum+int64(s.Records)*int64(s.Record) > most {
		return 0, fmt.Errorf("%d records of %d bytes, console of %d and crash text of %d are more than %d bytes", s.Records, s.Record, s.Console, s.Crash, most)
	}
	return int(sum) + s.Records*s.Record, nil
}
