// Package live reads what a running program keeps in its anchor, as often as a
// supervisor wants to know: a few small reads, and nothing that the program
// would notice.
package live

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/tables"
	"github.com/meminspect/meminspect/runtime/format/anchor"
)

// A Program is a running one. It is used by one goroutine at a time.
type Program struct {
	proc   *process.Process
	read   memory.Reader
	anchor memory.Address
	limit  memory.Address // of what FindMemoryLimit found, 0 = nothing
}

// Open opens a process. It need not be a Go program: then it has no anchor.
func Open(pid int) (*Program, error) {
	p, err := process.Open(pid)
	if err != nil {
		return nil, err
	}
	return &Program{proc: p, read: memory.Reader{Memory: p.Memory()}}, nil
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
	data, err := p.data(false)
	if err != nil {
		return err
	}
	// The search passes over what it may not read: tell the two apart.
	if segments := data.Segments(); len(segments) > 0 {
		if _, err := p.read.Uint64(segments[0].Start); err != nil {
			return err
		}
	}
	found := tables.FindIn(data, p.proc.Memory())
	switch {
	case len(found.Anchors) == 0 && len(found.Problems) > 0:
		return errors.Join(found.Problems...)
	case len(found.Anchors) == 0:
		return ErrNoAnchor
	}
	p.anchor = found.Anchors[0].Addr
	return nil
}

// data returns the writable memory of the executable file, with what is zero at
// the start (bss) or without.
func (p *Program) data(bss bool) (*memory.Spliced, error) {
	maps, err := p.proc.Maps()
	if err != nil {
		return nil, err
	}
	exe, err := p.proc.ExeName()
	if err != nil {
		return nil, err
	}
	exe = strings.TrimSuffix(exe, " (deleted)")
	out := &memory.Spliced{}
	var end memory.Address
	for _, m := range maps {
		own := m.Inode != 0 && strings.TrimSuffix(m.Path, " (deleted)") == exe
		// The zeroed rest of the last segment has no file, and follows at once.
		rest := bss && m.Inode == 0 && m.Path == "" && m.Start == end
		if (own || rest) && m.Write {
			out.Put(memory.Segment{Range: m.Range, Write: true}, p.proc.Memory())
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

// Snapshots returns how many snapshots the program has asked for, and the
// reason of the latest, which is set before the count is.
func (p *Program) Snapshots() (count uint64, reason string, err error) {
	at := p.anchor.Add(anchor.AnchorSnapshots)
	for range 3 {
		if count, err = p.read.Uint64(at); err != nil || count == 0 {
			return 0, "", err
		}
		root, err := tables.ReadAnchor(p.proc.Memory(), p.anchor)
		if err != nil {
			continue // the reason's two words may be of two reasons
		}
		if again, err := p.read.Uint64(at); err == nil && again == count && root.Snapshots == count {
			return count, root.Reason, nil
		}
	}
	return count, "", ErrChanging
}

// Heartbeats returns all heartbeats, the newest first.
func (p *Program) Heartbeats() ([]tables.Heartbeat, error) {
	root, err := tables.ReadAnchor(p.proc.Memory(), p.anchor)
	if err != nil {
		return nil, err
	}
	return tables.Heartbeats(p.proc.Memory(), root)
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
	for at := range memory.Search(data, []byte("fatal error: "), 1, nil) {
		text, err := p.read.Bytes(at, 512, 512)
		if err != nil {
			// The ring may stand close to the end of what is mapped.
			if text, err = p.read.Bytes(at, 64, 64); err != nil {
				continue
			}
		}
		if line, _, ok := bytes.Cut(text, []byte("\n")); ok && !bytes.ContainsRune(line, 0) {
			found = text[:len(line)+1]
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
