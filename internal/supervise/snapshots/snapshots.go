//go:build linux

// Package snapshots keeps the last few captures of a running program, for ends
// that nothing can detect in time or stop: an OOM kill of a whole container, or
// a SIGKILL without ptrace.
//
// They are kept in memory, or in a file that outlives program and supervisor:
// its space is allocated in advance, it is written through the page cache, and
// the next supervisor with the same directory publishes what a dead one left in
// it. If cores are encrypted, the cores in the file are too.
package snapshots

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/corefile"
	"github.com/meminspect/meminspect/internal/plainfile"
)

// A Snapshot is a complete core with its facts.
type Snapshot struct {
	When    time.Time
	Program string // its name, truncated to 60 bytes
	PID     int
	Core    []byte
	Mark    string // placeholder for its age in the core, see Stamp
	Suffix  string // of the form in which Core is encrypted, "" if it is not
}

// NewMark returns a placeholder for a snapshot's age until that is known. It is
// 36 bytes long and does not occur in any other core.
func NewMark() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return "age:" + hex.EncodeToString(b[:])
}

// Stamp replaces the mark by the age, in place: at the time of the capture it
// was unknown that this would be the last one.
func (s *Snapshot) Stamp(age string) {
	if s.Mark == "" {
		return
	}
	if i := bytes.Index(s.Core, []byte(s.Mark)); i >= 0 {
		copy(s.Core[i:], fmt.Sprintf("%-*.*s", len(s.Mark), len(s.Mark), age))
	}
}

// StampTime replaces the mark by the time of the snapshot, if the end is not known.
func (s *Snapshot) StampTime() { s.Stamp("taken at " + s.When.UTC().Format(time.RFC3339)) }

// A Keeper keeps snapshots.
type Keeper interface {
	// Put stores a snapshot, replacing the oldest. It wraps ErrTooLarge if there
	// is no room for it.
	Put(Snapshot) error
	// Last returns the stored snapshots, the newest first.
	Last() ([]Snapshot, error)
	// Close drops them.
	Close() error
}

// ErrTooLarge reports that a snapshot is larger than the room for one.
var ErrTooLarge = errors.New("the snapshot is larger than the room for one")

// Memory keeps count snapshots of at most size bytes each in memory.
func Memory(count int, size int64) Keeper { return &memory{count: count, size: size} }

type memory struct {
	count int
	size  int64
	kept  []Snapshot // newest first
}

func (m *memory) Put(s Snapshot) error {
	if int64(len(s.Core)) > m.size {
		return fmt.Errorf("%w: %d of %d bytes", ErrTooLarge, len(s.Core), m.size)
	}
	m.kept = slices.Insert(m.kept, 0, s)
	m.kept = m.kept[:min(len(m.kept), m.count)]
	return nil
}

func (m *memory) Last() ([]Snapshot, error) { return m.kept, nil }
func (m *memory) Close() error              { m.kept = nil; return nil }

// The file: a header, then slots of a header and room for a core each.
//
//	header: magic 8, count u32, 0 u32, size u64
//	slot:   sequence u64 (0 = not whole), when i64 (Unix, ns), length u64,
//	        CRC-64 (ECMA) of the core u64, pid u32, form u32 (1 = encrypted,
//	        2 = compressed and encrypted), program 64, mark 40
//
// A slot's header is zeroed before its core is written and written after it, so
// that a writer that dies in between leaves no half snapshot.
const (
	magic      = "MISNAPS1"
	headerSize = 24
	slotHeader = 144
	prefix     = ".snapshots-"
	maxSize    = 1 << 40
)

var crcTable = crc64.MakeTable(crc64.ECMA)

type file struct {
	f     *os.File
	count int
	size  int64
	next  uint64
}

// File keeps count snapshots of at most size bytes each in a file in dir. It
// allocates the space now, so that a disk that fills up later does not matter.
// If form encrypts cores, those in the file are encrypted.
func File(dir string, count int, size int64, form corefile.Form) (Keeper, error) {
	f, err := os.CreateTemp(dir, prefix+"*")
	if err != nil {
		return nil, fmt.Errorf("file for snapshots: %w", err)
	}
	k := &file{f: f, count: count, size: size, next: 1}
	if err := k.prepare(); err != nil {
		k.Close()
		return nil, fmt.Errorf("file for snapshots: %w", err)
	}
	if len(form.Recipients) > 0 {
		return &sealed{memory: memory{count: count, size: size}, file: k, form: form}, nil
	}
	return k, nil
}

func (k *file) prepare() error {
	// The lock shows that a supervisor is alive. A process that looks for dead
	// ones may hold it for a moment.
	for end := time.Now().Add(time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(k.f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("locking it: %w", err)
		}
	}
	if err := unix.Fallocate(int(k.f.Fd()), 0, 0, k.slot(k.count)); err != nil {
		return fmt.Errorf("allocating %d bytes: %w", k.slot(k.count), err)
	}
	h := binary.LittleEndian.AppendUint32([]byte(magic), uint32(k.count))
	h = binary.LittleEndian.AppendUint32(h, 0)
	h = binary.LittleEndian.AppendUint64(h, uint64(k.size))
	_, err := k.f.WriteAt(h, 0)
	return err
}

// slot returns the offset of a slot.
func (k *file) slot(n int) int64 { return headerSize + int64(n)*(slotHeader+k.size) }

func (k *file) Put(s Snapshot) error {
	if int64(len(s.Core)) > k.size {
		return fmt.Errorf("%w: %d of %d bytes", ErrTooLarge, len(s.Core), k.size)
	}
	at := k.slot(int(k.next % uint64(k.count)))
	h := make([]byte, slotHeader)
	if _, err := k.f.WriteAt(h, at); err != nil {
		return fmt.Errorf("keeping a snapshot: %w", err)
	}
	if _, err := k.f.WriteAt(s.Core, at+slotHeader); err != nil {
		return fmt.Errorf("keeping a snapshot: %w", err)
	}
	le := binary.LittleEndian
	le.PutUint64(h[0:], k.next)
	le.PutUint64(h[8:], uint64(s.When.UnixNano()))
	le.PutUint64(h[16:], uint64(len(s.Core)))
	le.PutUint64(h[24:], crc64.Checksum(s.Core, crcTable))
	le.PutUint32(h[32:], uint32(s.PID))
	le.PutUint32(h[36:], formOf(s.Suffix))
	copy(h[40:103], s.Program)
	copy(h[104:144], s.Mark)
	if _, err := k.f.WriteAt(h, at); err != nil {
		return fmt.Errorf("keeping a snapshot: %w", err)
	}
	k.next++
	return nil
}

func (k *file) Last() ([]Snapshot, error) { return readFile(k.f) }

func (k *file) Close() error {
	err := os.Remove(k.f.Name())
	return errors.Join(err, k.f.Close())
}

// A sealed keeper keeps snapshots in memory, and encrypts copies into a file for the
// next supervisor. No supervisor can decrypt them.
type sealed struct {
	memory
	file *file
	form corefile.Form
}

func (k *sealed) Put(s Snapshot) error {
	if err := k.memory.Put(s); err != nil {
		return err
	}
	s.Core = bytes.Clone(s.Core)
	s.StampTime() // the encrypted copy cannot be stamped
	var b bytes.Buffer
	err := k.form.Write(&b, func(w io.Writer) error { _, err := w.Write(s.Core); return err })
	if err != nil {
		return fmt.Errorf("keeping a snapshot: %w", err)
	}
	s.Core, s.Mark, s.Suffix = b.Bytes(), "", k.form.Suffix()
	return k.file.Put(s)
}

func (k *sealed) Close() error { return errors.Join(k.memory.Close(), k.file.Close()) }

// suffixes are the suffixes of the forms of a slot, by number.
var suffixes = [...]string{
	"",
	corefile.Form{Recipients: make([]age.Recipient, 1)}.Suffix(),
	corefile.Form{Recipients: make([]age.Recipient, 1), Compress: true}.Suffix(),
}

// formOf returns the number of a form.
func formOf(suffix string) uint32 { return uint32(slices.Index(suffixes[:], suffix)) }

func readFile(f *os.File) ([]Snapshot, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading snapshots: %w", err)
	}
	return read(f, info.Size(), f.Name())
}

// errNoSnapshots is wrapped by errors about a file of another format.
var errNoSnapshots = errors.New("it is not a file of snapshots")

// read returns the complete snapshots of a file, the newest first.
func read(f io.ReaderAt, total int64, name string) ([]Snapshot, error) {
	h := make([]byte, headerSize)
	if _, err := f.ReadAt(h, 0); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading snapshots: %s: %w", name, errNoSnapshots)
	} else if err != nil {
		return nil, fmt.Errorf("reading snapshots: %w", err)
	}
	le := binary.LittleEndian
	count, size := int(le.Uint32(h[8:])), le.Uint64(h[16:])
	if string(h[:8]) != magic || size > maxSize || uint64(count) > uint64(total)/slotHeader {
		return nil, fmt.Errorf("reading snapshots: %s: %w", name, errNoSnapshots)
	}
	k := &file{count: count, size: int64(size)}
	type numbered struct {
		Snapshot
		seq uint64
	}
	var found []numbered
	for n := range count {
		h := make([]byte, slotHeader)
		if _, err := f.ReadAt(h, k.slot(n)); err != nil {
			break // truncated
		}
		seq, length := le.Uint64(h), le.Uint64(h[16:])
		form := le.Uint32(h[36:])
		if seq == 0 || length > size || length > uint64(total) || form >= uint32(len(suffixes)) {
			continue
		}
		core := make([]byte, length)
		if _, err := f.ReadAt(core, k.slot(n)+slotHeader); err != nil || crc64.Checksum(core, crcTable) != le.Uint64(h[24:]) {
			continue // its writer died
		}
		found = append(found, numbered{Snapshot{
			When: time.Unix(0, int64(le.Uint64(h[8:]))), PID: int(le.Uint32(h[32:])), Core: core,
			Program: text(h[40:104]), Mark: text(h[104:144]), Suffix: suffixes[form],
		}, seq})
	}
	slices.SortFunc(found, func(a, b numbered) int {
		if a.seq > b.seq {
			return -1
		}
		return 1
	})
	out := make([]Snapshot, len(found))
	for i := range found {
		out[i] = found[i].Snapshot
	}
	return out, nil
}

func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// Orphans passes the newest snapshot of each file in dir whose supervisor is
// dead to publish, and removes the file once publish returns nil.
func Orphans(dir string, publish func(Snapshot) error) error {
	paths, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
	if err != nil {
		return fmt.Errorf("looking for snapshots: %w", err)
	}
	var failed error
	for _, path := range paths {
		failed = errors.Join(failed, orphan(path, publish))
	}
	return failed
}

// half is the minimum age of a file without a header whose supervisor died
// while it made it: a newer one may still be in the making.
const half = time.Minute

func orphan(path string, publish func(Snapshot) error) error {
	f, err := plainfile.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil // another process was quicker
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil // its supervisor is alive
	}
	snapshots, err := readFile(f)
	if err == nil && len(snapshots) > 0 {
		err = publish(snapshots[0])
	}
	if errors.Is(err, errNoSnapshots) {
		if info, serr := f.Stat(); serr != nil || time.Since(info.ModTime()) < half {
			return nil
		}
		err = nil
	}
	if err != nil {
		return fmt.Errorf("publishing the snapshot in %s: %w", path, err)
	}
	return os.Remove(path)
}
