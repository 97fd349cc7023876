// Package live reads a running program's anchor as often as a supervisor needs
// it: a few small reads that do not affect the program.
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

// A Program is a running program. Only one goroutine at a time may use it.
type Program struct {
	proc   *process.Process
	read   memory.Reader
	anchor memory.Address
	limit  memory.Address // result of FindMemoryLimit, 0 = none
}

// Open opens a process. It need not be a Go program: then it has no anchor.
func Open(pid int) (*Program, error) {
	p, err := process.Open(pid)
	if err != nil {
		return nil, err
	}
	return &Program{proc: p, read: memory.Reader{Memory: p.Memory()}}, nil
}

// Close closes the process.
func (p *Program) Close() error { return p.proc.Close() }

// ErrNoAnchor reports that the program does not embed package meminspect.
var ErrNoAnchor = errors.New("the program does not embed the meminspect runtime")

// ErrChanging reports data that was being changed at each read.
var ErrChanging = errors.New("the program changed it at each look")

// Find searches for the anchor in the writable data of the executable. It is
// static data, so it is either there at the start or never. It returns
// [process.ErrGone] if the program ended before that was known.
func (p *Program) Find() error {
	if p.anchor != 0 {
		return nil
	}
	err := p.find()
	if err != nil && p.ended() {
		return process.ErrGone
	}
	return err
}

func (p *Program) find() error {
	data, err := p.data(false)
	if err != nil {
		return err
	}
	// The search skips unreadable memory: distinguish the two cases.
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

// ended reports whether the program has lost its memory. While it loses it, its
// mappings read as a part of them, and its memory as unreadable.
func (p *Program) ended() bool {
	maps, err := p.proc.Maps()
	return err == nil && len(maps) == 0 || errors.Is(err, process.ErrGone)
}

// data returns the writable memory of the executable file, with or without the
// part that is zero at the start (bss).
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
		// The zeroed rest of the last segment has no file, and follows directly.
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

// Paused reports whether the program is stopped, so that it cannot act.
func (p *Program) Paused() bool {
	stat, err := p.proc.Stat()
	return err == nil && (stat.State == 'T' || stat.State == 't')
}

// Snapshots returns how many snapshots the program has requested, and the
// reason of the latest, which is set before the count is.
func (p *Program) Snapshots() (count uint64, reason string, err error) {
	at := p.anchor.Add(anchor.AnchorSnapshots)
	for range 3 {
		if count, err = p.read.Uint64(at); err != nil || count == 0 {
			return 0, "", err
		}
		root, err := tables.ReadAnchor(p.proc.Memory(), p.anchor)
		if err != nil {
			continue // the string's two words may be of two reasons
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

// Backlog returns the text that the runtime printed about a fatal error before
// it began to die, nil if there is none. The runtime keeps it in a ring of 512
// bytes (runtime.printBacklog) that has no symbol in stripped programs, so
// Backlog searches for the beginning of the text.
func (p *Program) Backlog() []byte {
	data, err := p.data(true)
	if err != nil {
		return nil
	}
	var found []byte
	for at := range memory.Search(data, []byte("fatal error: "), 1, nil) {
		text, err := p.read.Bytes(at, 512, 512)
		if err != nil {
			// The ring may be close to the end of the mapping.
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

// Writer returns the thread that blocks in a write to the socket with that
// inode, 0 if there is none.
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
