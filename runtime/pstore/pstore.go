// Package pstore keeps the program's last words in a file that outlives it
// however it ends, laid out as Linux's ramoops: dump records written on demand
// or when a heartbeat was missed, a console that the log ring feeds, and the Go
// runtime's own report of a fatal error.
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
	ErrUnsupported = errors.New("pstore files are not supported on this system")
	ErrTaken       = errors.New("a supervisor has the crash output")
)

// Sizes are those of the zones in bytes, rounded up to pages, all together at
// most 2 GB. Zeros mean the defaults.
type Sizes struct {
	Records int // how many dump records are kept: 4
	Record  int // 64 KB
	Console int // 256 KB
	Crash   int // 64 KB
}

// most bounds a store: sizes in it are 32 bits wide.
const most = 1<<31 - 1

// fill puts the defaults in, rounds, and returns the size of the whole.
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
