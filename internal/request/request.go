// Package request has what this module's own commands pass to a capture in
// addition to the options that users choose: who asks, who holds the process,
// and what is known about its end.
package request

import (
	"strconv"

	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/fullcore"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// A Request is the second half of a capture's parameters. The zero value is
// that of a caller who knows nothing about the process and holds none of it.
type Request struct {
	// Requester names who asks, for the record: "meminspect run".
	Requester string

	// Extra are more facts for the record.
	Extra []note.Pair

	// Thread is the thread that failed, 0 if that is not known. It comes first
	// in the core.
	Thread int

	Hold Hold

	// SaveMemory keeps this process small: no debug information is read. Set it
	// if the program is captured because memory is short.
	SaveMemory bool

	// Lenient makes a core although the program has no variable that Include names, or
	// the file of Symbols is wrong: the core records that. Set it if the process
	// cannot be captured again.
	Lenient bool

	// Heap, if not nil, reads the heap for the heap's note. The process is stopped for
	// it, also with cgo.
	Heap HeapReader

	// HeapOptional reads the heap only if the process is stopped anyway. HeapRoom is
	// how many bytes of memory it may take if SaveMemory is set.
	HeapOptional bool
	HeapRoom     uint64

	// Released, if not nil, is called once when the process is no longer needed:
	// everything has been read and its threads run again. It may end then.
	Released func()

	// OnReleased, if not nil, is called once after Released and before the core
	// is laid out, and returns the record that the core gets: a program reports why
	// it died only when it is let go. It must not change what it is given.
	OnReleased func(Record) Record

	// FileRoom is how many bytes of the budget are reserved for Record.Files.
	FileRoom uint64

	// Sign, if not nil, returns the signature that the core carries, "" if it carries
	// none. It is called with the core that is about to be returned.
	Sign func(*elfcore.Core) (string, error)
}

// A Hold is who holds the process while it is read, and for how long.
type Hold struct {
	// Main, if not nil, is the tracer that has seized the main thread already.
	// MainHeld reports that it holds that thread in its exit stop: see
	// [process.StopOptions].
	Main     *process.Tracer
	MainHeld bool

	// Dump, if not nil, is the head of the core that the kernel dumps of the
	// process. The kernel holds all threads until that core has been read, so
	// that none is stopped by the capture. A head of another process is recorded
	// and not used.
	Dump *fullcore.Head

	// SkipRehearsal skips the preparations that would shorten the stop. Set it
	// when there is neither time nor memory for them: the program is dying, or
	// may die any moment.
	SkipRehearsal bool

	// PauseGC, if not nil, is called before the process is stopped, and the
	// function that it returns after the process runs again. See package gcpause.
	PauseGC func() (resume func())
}

// A Record is what a core records about why it was made.
type Record struct {
	Reason string
	Extra  []note.Pair
	Crash  *note.CrashText // what the program wrote as it died, or nil
	Files  []note.AttachedFile

	// Panics are the types of the values that goroutines panic with, by the IDs
	// of the goroutines. They are for Request.OnReleased, not for the core.
	Panics map[uint64]string

	// Excluded is what texts about the program must not contain, nil if the
	// program excludes nothing. It is for Request.OnReleased, not for the core.
	Excluded *Excluded
}

// PanicOf returns a Request.OnReleased that records the goroutine and the type
// of the value of a panic, for a program that died of signal sig without a
// report to us: under GOTRACEBACK=crash a panic ends in SIGABRT.
func PanicOf(sig int) func(Record) Record {
	const abort = 6 // SIGABRT, on Linux
	return func(r Record) Record {
		if len(r.Panics) != 1 || sig != abort {
			return r
		}
		for id, typ := range r.Panics {
			r = r.With(note.Pair{Key: note.KeyGoroutine, Value: strconv.FormatUint(id, 10)}, note.Pair{Key: "panic-type", Value: typ})
		}
		return r
	}
}

// With returns the record with more facts.
func (r Record) With(facts ...note.Pair) Record {
	r.Extra = append(r.Extra[:len(r.Extra):len(r.Extra)], facts...)
	return r
}
