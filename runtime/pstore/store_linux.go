package pstore

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/meminspect/meminspect/runtime/format/ramoops"
	"github.com/meminspect/meminspect/runtime/internal/registry"
	"github.com/meminspect/meminspect/runtime/internal/shared"
)

// A Store is an open file.
type Store struct {
	path    string
	file    *shared.Mapping // nil when it is closed
	mu      sync.Mutex      // guards everything except the console
	dumps   []zone
	next    int
	console struct {
		sync.Mutex
		zone
	}
	crash zone
}

// A zone is one of the file's rings.
type zone struct {
	b  []byte
	at int64 // in the file
}

func (z zone) word(off int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&z.b[off])) }
func (z zone) data() []byte                { return z.b[ramoops.OffData:] }

// Open opens a store, or creates it. Data of an earlier run stays until it is
// overwritten: dump records in turn, the console from its last position, the
// crash text by Crash. If the sizes changed, data stays in zones that begin at
// the same offset. Open allocates the file's space, so that a full disk is an
// error of Open and not of a later write. It rejects a file of another format.
func Open(path string, sizes Sizes) (*Store, error) {
	if registry.Off {
		return &Store{}, nil
	}
	if !shared.LittleEndian() {
		return nil, ErrUnsupported
	}
	total, err := sizes.fill()
	if err != nil {
		return nil, fmt.Errorf("pstore: %w", err)
	}
	file, err := shared.Open(path, total, ramoops.Is)
	if err != nil {
		return nil, fmt.Errorf("pstore: %w", err)
	}
	s := &Store{path: path, file: file}
	at := 0
	take := func(n int) zone {
		z := zone{file.Bytes[at : at+n : at+n], int64(at)}
		at += n
		z.adopt()
		return z
	}
	for range sizes.Records {
		s.dumps = append(s.dumps, take(sizes.Record))
	}
	s.console.zone = take(sizes.Console)
	if zones, err := ramoops.Read(s.console.b); err != nil || zones[0].Kind == ramoops.Dump {
		s.console.reset() // with other sizes a record was here
	}
	s.crash = take(sizes.Crash)
	s.next = s.oldest()
	return s, nil
}

// adopt keeps a valid zone, and initializes an invalid one.
func (z zone) adopt() {
	start, size := z.word(ramoops.OffStart).Load(), z.word(ramoops.OffSize).Load()
	if z.word(ramoops.OffSignature).Load() == ramoops.Signature && int(size) <= len(z.data()) && start <= size {
		return
	}
	z.reset()
}

func (z zone) reset() {
	clear(z.b)
	z.word(ramoops.OffSignature).Store(ramoops.Signature)
}

// oldest returns the dump zone to overwrite next: an empty one, a torn one, or
// the one with the oldest record.
func (s *Store) oldest() int {
	best, when := 0, time.Time{}
	for i, z := range s.dumps {
		zones, err := ramoops.Read(z.b)
		if err != nil || zones[0].Kind != ramoops.Dump || zones[0].Torn {
			return i
		}
		if i == 0 || zones[0].When.Before(when) {
			best, when = i, zones[0].When
		}
	}
	return best
}

// Dump writes a dump record with a reason and a text, of which it keeps the end
// if it does not fit. It overwrites the oldest record.
func (s *Store) Dump(reason string, text []byte) {
	if registry.Off {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return
	}
	z := s.dumps[s.next]
	s.next = (s.next + 1) % len(s.dumps)

	head := ramoops.DumpHeader(time.Now()) + reason + "\n"
	data := z.data()
	head = head[:min(len(head), len(data))]
	if room := len(data) - len(head); len(text) > room {
		text = text[len(text)-room:]
	}
	// Set the size last: until then readers report the record as torn.
	z.word(ramoops.OffStart).Store(0)
	z.word(ramoops.OffSize).Store(0)
	n := copy(data, head)
	clear(data[n:])
	n += copy(data[n:], text)
	z.word(ramoops.OffSize).Store(uint32(n))
	if n < len(data) {
		z.word(ramoops.OffStart).Store(uint32(n))
	}
}

// Console appends a line to the console ring. It is suitable for logring's Tee.
func (s *Store) Console(line []byte) {
	if registry.Off {
		return
	}
	s.console.Lock()
	defer s.console.Unlock()
	z := s.console.zone
	if z.b == nil {
		return // closed
	}
	data := z.data()
	if len(line) > len(data)/2 {
		line = line[len(line)-len(data)/2:]
	}
	size, start := int(z.word(ramoops.OffSize).Load()), int(z.word(ramoops.OffStart).Load())
	if size < len(data) {
		start = size
	}
	// Clear the room first: NULs show a reader that a writer died here.
	first := min(len(line), len(data)-start)
	clear(data[start : start+first])
	clear(data[:len(line)-first])
	copy(data[start:], line[:first])
	copy(data, line[first:])
	if size < len(data) {
		z.word(ramoops.OffSize).Store(uint32(min(size+len(line), len(data))))
	}
	z.word(ramoops.OffStart).Store(uint32((start + len(line)) % len(data)))
}

// Write is Console as an io.Writer, for package log and slog handlers.
func (s *Store) Write(p []byte) (int, error) {
	s.Console(p)
	return len(p), nil
}

// Crash makes the Go runtime write its report of a fatal error into the store,
// which runs no Go code in the dying program. It clears the report of an
// earlier crash and returns it. A program has one crash output: if a supervisor
// uses it, Crash returns ErrTaken.
func (s *Store) Crash() (last string, err error) {
	if registry.Off {
		return "", nil
	}
	if registry.CrashFD() != 0 {
		return "", ErrTaken
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return "", fmt.Errorf("pstore: %w", os.ErrClosed)
	}
	if zones, err := ramoops.Read(s.crash.b); err == nil && zones[0].Kind == ramoops.Crash {
		last = zones[0].Text
	}
	clear(s.crash.data())
	s.crash.word(ramoops.OffSize).Store(0)
	// The runtime writes the report to the file with plain writes, from here on.
	// The zone is the last: a report that is too long extends the file and damages
	// no other zone.
	f, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	if err != nil {
		return last, fmt.Errorf("pstore: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(s.crash.at+ramoops.OffData, io.SeekStart); err != nil {
		return last, fmt.Errorf("pstore: %w", err)
	}
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		return last, fmt.Errorf("pstore: %w", err)
	}
	return last, nil
}

// Watch checks the program's heartbeats every interval and writes a dump record
// with the stacks of all goroutines once for each miss. If interval is not
// positive, it is one second. Watch starts a goroutine, so Go no longer detects
// that all others are blocked forever; an external supervisor avoids that. stop
// ends it.
func (s *Store) Watch(interval time.Duration) (stop func()) {
	if registry.Off {
		return func() {}
	}
	if interval <= 0 {
		interval = time.Second
	}
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		w := watch{seen: map[*registry.Heartbeat]beat{}}
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				for _, missed := range w.look(now) {
					s.Dump(missed, stacks())
				}
			}
		}
	}()
	var once sync.Once
	return func() { once.Do(func() { close(done); <-finished }) }
}

// Close unmaps the file, which stays. Later output, as the program ends, is
// lost without harm.
func (s *Store) Close() error {
	if registry.Off {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.console.Lock()
	defer s.console.Unlock()
	if s.file == nil {
		return nil
	}
	file := s.file
	s.file, s.console.zone = nil, zone{}
	return file.Close()
}
