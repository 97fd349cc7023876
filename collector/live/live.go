// Package live reads what a running program keeps in its anchor, as often as a
// supervisor wants to know: a few small reads, and nothing that the program
// would notice.
package live

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/meminspect/meminspect/runtime/format/anchor"
	"github.com/meminspect/meminspect/target"
	"github.com/meminspect/meminspect/target/process"
)

// A Program is a running one. It is used by one goroutine at a time.
type Program struct {
	proc   *process.Process
	read   target.Reader
	anchor target.Address
}

// Open opens a process. It need not be a Go program: then it has no anchor.
func Open(pid int) (*Program, error) {
	p, err := process.Open(pid)
	if err != nil {
		return nil, err
	}
	return &Program{proc: p, read: target.Reader{Memory: p.Memory()}}, nil
}

// Close closes it.
func (p *Program) Close() error { return p.proc.Close() }

// ErrNoAnchor says that the program does not embed package meminspect.
var ErrNoAnchor = errors.New("the program does not embed the meminspect runtime")

// ErrChanging says that something was being changed at each look.
var ErrChanging = errors.New("the program changed it at each look")

// Find looks for the anchor in the writable data of the executable. It is
// static data: what is not there at the start never comes.
func (p *Program) Find() error {
	if p.anchor != 0 {
		return nil
	}
	magic := binary.LittleEndian.AppendUint64(nil, anchor.AnchorMagic0)
	magic = binary.LittleEndian.AppendUint64(magic, anchor.AnchorMagic1)
	data, err := p.data(false)
	if err != nil {
		return err
	}
	var readErr error
	for at := range target.Search(data, magic, 8, nil) {
		version, err := p.read.Uint32(at.Add(anchor.AnchorVersionOff))
		size, err2 := p.read.Uint32(at.Add(anchor.AnchorPtrSize))
		if readErr = errors.Join(err, err2); readErr != nil || size != 8 {
			continue
		}
		if version != anchor.AnchorVersion {
			return fmt.Errorf("the program's anchor has version %d, this program reads version %d: use a newer meminspect", version, anchor.AnchorVersion)
		}
		p.anchor = at
		return nil
	}
	if readErr == nil {
		// Search passes over what it may not read: tell the two apart.
		if segs := data.Segments(); len(segs) > 0 {
			if _, err := p.read.Uint64(segs[0].Start); err != nil {
				return err
			}
		}
	}
	return errors.Join(ErrNoAnchor, readErr)
}

// data returns the writable memory of the executable file, with what is zero at
// the start (bss) or without.
func (p *Program) data(bss bool) (*target.Spliced, error) {
	maps, err := p.proc.Maps()
	if err != nil {
		return nil, err
	}
	exe, err := p.proc.ExeName()
	if err != nil {
		return nil, err
	}
	exe = strings.TrimSuffix(exe, " (deleted)")
	out := &target.Spliced{}
	var end target.Address
	for _, m := range maps {
		own := m.Inode != 0 && strings.TrimSuffix(m.Path, " (deleted)") == exe
		// The zeroed rest of the last segment has no file, and follows at once.
		rest := bss && m.Inode == 0 && m.Path == "" && m.Start == end
		if (own || rest) && m.Write {
			out.Put(target.Segment{Range: m.Range, Write: true}, p.proc.Memory())
		}
		if own || rest {
			end = m.End
		}
	}
	return out, nil
}

// Paused tells whether somebody has stopped the program: it can do nothing then,
// and nothing is to be expected of it.
func (p *Program) Paused() bool {
	stat, err := p.proc.Stat()
	return err == nil && (stat.State == 'T' || stat.State == 't')
}

// CrashFD returns the descriptor of the crash socket that the program took up,
// 0 if it took none, -1 if it has one of unknown number.
func (p *Program) CrashFD() (int64, error) {
	v, err := p.read.Uint64(p.anchor.Add(anchor.AnchorCrashFD))
	return int64(v), err
}

// reasonLimit bounds the bytes of a reason that are read.
const reasonLimit = 256

// Snapshots returns how many snapshots the program has asked for, and the
// reason of the latest, which is set before the count is.
func (p *Program) Snapshots() (count uint64, reason string, err error) {
	for range 3 {
		count, err = p.read.Uint64(p.anchor.Add(anchor.AnchorSnapshots))
		if err != nil {
			return 0, "", err
		}
		if count == 0 {
			return 0, "", nil
		}
		at, err := p.read.Pointer(p.anchor.Add(anchor.AnchorReason))
		size, err2 := p.read.Uint64(p.anchor.Add(anchor.AnchorReason + 8))
		if err := errors.Join(err, err2); err != nil {
			return 0, "", err
		}
		text, err := p.read.Text(at, min(size, reasonLimit), reasonLimit)
		again, err2 := p.read.Uint64(p.anchor.Add(anchor.AnchorSnapshots))
		if err == nil && err2 == nil && again == count {
			return count, text, nil
		}
	}
	return count, "", ErrChanging
}

// A Heartbeat is a counter that the program must move.
type Heartbeat struct {
	Addr    target.Address
	Name    string
	Limit   time.Duration // between two beats
	Count   uint64
	Running bool
}

// heartbeatLimit bounds the list, which a broken program may have closed into a
// ring.
const heartbeatLimit = 1000

// Heartbeats returns all heartbeats, the newest first.
func (p *Program) Heartbeats() ([]Heartbeat, error) {
	at, err := p.read.Pointer(p.anchor.Add(anchor.AnchorHeartbeats))
	var beats []Heartbeat
	for ; at != 0 && err == nil && len(beats) < heartbeatLimit; at, err = p.read.Pointer(at.Add(anchor.HeartbeatNext)) {
		raw, err := p.read.Bytes(at, anchor.HeartbeatSize, anchor.HeartbeatSize)
		if err != nil {
			return beats, err
		}
		word := func(off int) uint64 { return binary.LittleEndian.Uint64(raw[off:]) }
		name, err := p.read.Text(target.Address(word(anchor.HeartbeatName)), min(word(anchor.HeartbeatName+8), reasonLimit), reasonLimit)
		if err != nil {
			return beats, err
		}
		beats = append(beats, Heartbeat{
			Addr: at, Name: name, Limit: time.Duration(word(anchor.HeartbeatLimit)),
			Count: word(anchor.HeartbeatCount), Running: binary.LittleEndian.Uint32(raw[anchor.HeartbeatState:]) == 1,
		})
	}
	return beats, err
}

// Backlog returns what the runtime printed of a fatal error before it began to
// die, nil if it printed nothing. The runtime keeps that in a ring of 512 bytes
// (runtime.printBacklog) that stripped programs have no symbol for, so its
// announcement itself is looked for.
func (p *Program) Backlog() []byte {
	data, err := p.data(true)
	if err != nil {
		return nil
	}
	var found []byte
	for at := range target.Search(data, []byte("fatal error: "), 1, nil) {
		text, err := p.read.Bytes(at, 512, 512)
		if err != nil {
			// The ring may stand close to the end of what is mapped.
			if text, err = p.read.Bytes(at, 64, 64); err != nil {
				continue
			}
		}
		if line, _, ok := bytes.Cut(text, []byte("\n")); ok && !bytes.ContainsRune(line, 0) {
			found = append(line, '\n')
		}
	}
	return found
}

// Writer returns the thread that sleeps in a write to the socket with that
// inode, 0 if none is seen to.
func (p *Program) Writer(inode uint64) int {
	ids, err := p.proc.ThreadIDs()
	if err != nil {
		return 0
	}
	want := fmt.Sprintf("socket:[%d]", inode)
	for _, id := range ids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", p.proc.PID, id))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text))
		if len(fields) != 9 || fields[0] != writeCall {
			continue
		}
		fd, err := strconv.ParseUint(fields[1], 0, 31)
		if err != nil {
			continue
		}
		if link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.proc.PID, fd)); err == nil && link == want {
			return id
		}
	}
	return 0
}
