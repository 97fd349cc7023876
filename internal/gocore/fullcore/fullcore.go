// Package fullcore is a program as a core of all its memory shows it: the
// memory, the mappings, the threads and the executable of a process that is
// gone, in the words of package process.
//
// It reads what gdb's gcore, the kernel and Delve's dump write, and what
// systemd-coredump keeps of the kernel's, whole or cut short. A byte that the
// core does not hold is unreadable, whatever the headers claim: a segment's
// bytes beyond those in the file are memory that was left out, not zeros. What
// is read-only may come from the executable file instead, when that is shown to
// be of the same build.
//
// A core is input like any other: it may be cut short or made to hurt.
package fullcore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// Options control how a core is opened.
type Options struct {
	// Exe is the program's executable file; "" is the one that the core names,
	// and when that is not there or of another build, what the core itself
	// holds of it.
	Exe string

	// When is the time at which the core was made, if it is known.
	When time.Time
}

// A Core is a full core. It may be read from several goroutines.
type Core struct {
	Path     string    // "" when it came through a pipe
	Size     int64     // decompressed
	When     time.Time // at which it was made; zero when it is not known
	Modified time.Time // when the file was last written, zero for a pipe

	// Cut is how many bytes the headers promise beyond the end of the file.
	// CutNotes reports that some of them are notes, and so threads and mappings.
	Cut      uint64
	CutNotes bool

	// Mentions are what a reader of results should know.
	Mentions []string

	file    *elfcore.File
	linux   *elfcore.Linux
	raw     *memory.Spliced // what the core holds
	own     *image          // the executable as the core has it, nil if it has not
	mem     *memory.Spliced // over the executable's read-only segments
	maps    []process.Mapping
	unheld  map[memory.Address]bool // starts of those that have no segment
	exe     *exe.File
	exePath string

	libraries map[string]*library // with Go code, by their paths
	name      string              // of the executable, as the core has it
}

// ErrOwn reports that a core was written by meminspect.
var ErrOwn = errors.New("it was written by meminspect: there is nothing to filter")

// New reads the core in the size bytes of r, which package corefile returns for a
// file. The caller closes r after the Core, and may set Path, Modified and
// Mentions.
func New(r io.ReaderAt, size int64, o Options) (*Core, error) {
	file, err := elfcore.OpenCut(memory.NewBlocks(r, size), size)
	if err != nil {
		return nil, err
	}
	for _, n := range file.Notes {
		if n.Name == note.Owner {
			return nil, ErrOwn
		}
	}
	if _, ok := elfcore.RegistersOf(file.Machine); !ok {
		return nil, fmt.Errorf("it is of a program for %s; amd64 and arm64 are read", elfcore.MachineName(file.Machine))
	}
	c := &Core{Size: size, When: o.When, file: file}
	c.Cut = file.Missing() + file.NotesMissing
	c.CutNotes = file.NotesMissing > 0
	if c.linux, err = file.Linux(); err != nil {
		return nil, err
	}
	c.raw = held(file)
	c.maps, c.unheld = mappings(file, c.linux.Files)
	if err := c.findExecutable(o.Exe); err != nil {
		c.Close()
		return nil, err
	}
	c.claim()
	c.nameStack()
	c.codeOf()
	c.mem = &memory.Spliced{}
	image := c.exe.Loaded(c.bias())
	for _, seg := range image.Segments() {
		if !seg.Write {
			c.mem.Put(seg, image)
		}
	}
	c.openLibraries()
	c.mem.PutAll(c.raw) // what the program had wins
	return c, nil
}

// Close releases the executable file and those of shared libraries.
func (c *Core) Close() error {
	for _, l := range c.libraries {
		if l.file != nil {
			l.file.Close()
		}
	}
	if c.exe == nil {
		return nil
	}
	return c.exe.Close()
}

// Machine is the ELF machine of the program.
func (c *Core) Machine() uint16 { return c.file.Machine }

// Memory is the program's memory: what the core holds, and the executable's
// read-only segments where it holds nothing.
func (c *Core) Memory() memory.Memory { return coreMemory{c} }

// Maps returns the mappings, sorted by address.
func (c *Core) Maps() ([]process.Mapping, error) { return c.maps, nil }

// Executable returns the executable file, the name that the program knew it by,
// and the path that it was opened by, "" when it was put together from the
// core. The file belongs to the Core.
func (c *Core) Executable() (file *exe.File, name, path string, err error) {
	return c.exe, c.name, c.exePath, nil
}

// Auxv is the auxiliary vector.
func (c *Core) Auxv() ([]byte, error) {
	if len(c.linux.Auxv) == 0 {
		return nil, errors.New("the core has none")
	}
	return c.linux.Auxv, nil
}

// Args returns the beginning of the command line, 79 bytes at most.
func (c *Core) Args() ([]string, error) {
	if c.linux.Process == nil {
		return nil, errors.New("the core does not say")
	}
	return []string{c.linux.Process.Args}, nil
}

// Host is empty: a core does not record where it is from.
func (c *Core) Host() process.Host { return process.Host{} }

// Stat is what the core records of the process itself.
func (c *Core) Stat() (process.Stat, error) {
	p := c.linux.Process
	if p == nil {
		return process.Stat{State: 'T'}, nil
	}
	return process.Stat{Name: p.Name, State: p.SName, Parent: int(p.PPID), Group: int(p.PGRP), Sess: int(p.SID)}, nil
}

// PID is the process' number, 0 if the core does not have it.
func (c *Core) PID() int {
	switch l := c.linux; {
	case l.Process != nil && l.Process.PID > 0:
		return int(l.Process.PID)
	case len(l.Threads) > 0:
		return int(l.Threads[0].TID)
	}
	return 0
}

// Signal is the one that the process died of, or that a debugger had stopped it
// by; 0 if the core does not have it.
func (c *Core) Signal() int {
	if s := c.linux.Signal; s != nil {
		return max(int(s.Signal), 0)
	}
	if len(c.linux.Threads) > 0 { // qemu's have no note about it
		return max(int(c.linux.Threads[0].Signal), 0)
	}
	return 0
}

// SigInfo is all that the core records of that signal, nil for nothing. It is the
// caller's.
func (c *Core) SigInfo() *elfcore.SigInfo {
	if c.linux.Signal == nil {
		return nil
	}
	s := *c.linux.Signal
	return &s
}

// Threads returns the threads with their registers, the one first that the core
// has first: the one that failed, in the kernel's.
func (c *Core) Threads() []process.Thread { return threads(c.file.Machine, c.linux) }

func threads(machine uint16, linux *elfcore.Linux) []process.Thread {
	registers, _ := elfcore.RegistersOf(machine)
	var out []process.Thread
	for i := range linux.Threads {
		l := &linux.Threads[i]
		th := process.Thread{ID: int(l.TID), Machine: machine, Signal: int(l.Signal), Float: l.Float, XState: l.XState}
		for _, r := range l.Registers {
			th.General = binary.LittleEndian.AppendUint64(th.General, r)
		}
		th.TLS = l.Register(registers.TLS)
		if len(l.TLS) >= 8 {
			th.TLS = binary.LittleEndian.Uint64(l.TLS)
		}
		out = append(out, th)
	}
	return out
}
