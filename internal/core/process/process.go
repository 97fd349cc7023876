// Package process represents a running program seen from outside: its memory,
// its mappings, its threads, and a way to stop it for a moment.
//
// It knows Linux and nothing of Go programs. On other systems it builds, and
// Open returns an error.
package process

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/meminspect/meminspect/internal/core/memory"
)

// ErrGone is wrapped by errors caused by the end of the process.
var ErrGone = errors.New("no such process")

// A Process is another process of this host. It opens no descriptor until its
// memory is read in a way that needs one.
type Process struct {
	PID int
	mem *Memory

	// another is a thread that runs on after the main thread has ended, 0 if the main
	// thread lives. The kernel then shows the memory, the files and the program of the
	// process under the numbers of such threads only. It changes when that thread ends.
	another atomic.Int64
}

// Open returns the process with that ID. It returns ErrGone if there is none.
// Missing permissions show only when something is read.
func Open(pid int) (*Process, error) {
	if pid <= 0 {
		return nil, fmt.Errorf("open process %d: not a process ID", pid)
	}
	if err := supported(); err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	p := &Process{PID: pid}
	if _, err := os.Stat(p.path("")); err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, gone(err))
	}
	p.relocate()
	p.mem = &Memory{of: p}
	p.mem.forbidden.Store(ReadMemory.Killed() != nil)
	return p, nil
}

// Close closes the descriptor for the process' memory. It does not affect the
// process.
func (p *Process) Close() error { return p.mem.close() }

// Memory returns the process' memory.
func (p *Process) Memory() *Memory { return p.mem }

// Dir returns the folder in /proc with the memory, the files and the program of a
// process: that of another thread if the main thread alone has ended.
func Dir(pid int) string {
	p := &Process{PID: pid}
	p.relocate()
	return p.path("")
}

// path returns the path of one of the process' files in /proc.
func (p *Process) path(name string) string {
	dir := filepath.Join("/proc", strconv.Itoa(p.PID))
	if another := p.another.Load(); another != 0 && !ofAll(name) {
		dir = filepath.Join(dir, "task", strconv.FormatInt(another, 10))
	}
	return filepath.Join(dir, name)
}

// ofAll reports whether a file in /proc is about all threads, so that the main thread has
// it also after its end.
func ofAll(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return first == "task" || first == "stat"
}

// thread returns a thread that has the process' memory and files.
func (p *Process) thread() int { return cmp.Or(int(p.another.Load()), p.PID) }

// relocate finds again a thread that has the process' memory and files, and reports
// whether it is another one than before.
func (p *Process) relocate() bool {
	now := int64(p.survivor())
	return p.another.Swap(now) != now
}

// ExePath returns a path that opens the process' executable, even if the file
// was removed or is in another mount namespace.
func (p *Process) ExePath() string { return p.path("exe") }

// FilePath returns a path that opens the file of a mapping.
func (p *Process) FilePath(m Mapping) string { return p.path(filepath.Join("root", m.Path)) }

// ExeName returns the kernel's path of the executable; if the file was removed,
// it ends in " (deleted)".
func (p *Process) ExeName() (string, error) {
	name, err := os.Readlink(p.path("exe"))
	if err != nil {
		return "", fmt.Errorf("executable of process %d: %w", p.PID, gone(err))
	}
	return name, nil
}

// Auxv returns the auxiliary vector that the kernel gave to the program.
func (p *Process) Auxv() ([]byte, error) { return p.read("auxv") }

// Args returns the program's arguments, beginning with its name. They may
// contain secrets.
func (p *Process) Args() ([]string, error) {
	data, err := p.read("cmdline")
	if err != nil || len(data) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00"), nil
}

func (p *Process) read(name string) ([]byte, error) {
	data, err := os.ReadFile(p.path(name))
	if !ofAll(name) && (err == nil && len(data) == 0 || err != nil && errors.Is(gone(err), ErrGone)) && p.relocate() {
		data, err = os.ReadFile(p.path(name))
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of process %d: %w", name, p.PID, gone(err))
	}
	return data, nil
}

// gone converts the errors by which /proc reports that a process has ended into
// ErrGone.
func gone(err error) error {
	if errors.Is(err, os.ErrNotExist) || isNoProcess(err) {
		return ErrGone
	}
	return err
}

// A Mapping is one line of /proc/PID/maps.
type Mapping struct {
	memory.Range
	Read, Write, Exec, Shared bool
	Offset                    uint64 // in the file
	Device                    string // major:minor, hexadecimal
	Inode                     uint64 // 0 if no file is mapped
	Path                      string // file, or a name in brackets, or ""
}

// Maps returns the mappings, sorted by address.
func (p *Process) Maps() ([]Mapping, error) {
	data, err := p.read("maps")
	if err != nil {
		return nil, err
	}
	maps, err := ParseMaps(data)
	if err != nil {
		return nil, fmt.Errorf("maps of process %d: %w", p.PID, err)
	}
	return maps, nil
}

// ParseMaps reads the text of a maps file of /proc (man proc_pid_maps). A path
// keeps the kernel's escapes (\012 for a newline).
func ParseMaps(text []byte) ([]Mapping, error) {
	var maps []Mapping
	for n := 1; len(text) > 0; n++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		m, err := parseMapping(string(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		maps = append(maps, m)
	}
	return maps, nil
}

func parseMapping(line string) (Mapping, error) {
	fields := strings.SplitN(line, " ", 6)
	if len(fields) < 5 || len(fields[1]) != 4 {
		return Mapping{}, fmt.Errorf("%q is not a mapping", line)
	}
	from, to, ok := strings.Cut(fields[0], "-")
	start, err1 := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	offset, err3 := strconv.ParseUint(fields[2], 16, 64)
	inode, err4 := strconv.ParseUint(fields[4], 10, 64)
	if err := errors.Join(err1, err2, err3, err4); err != nil || !ok || end < start {
		return Mapping{}, fmt.Errorf("%q is not a mapping", line)
	}
	m := Mapping{
		Range:  memory.Range{Start: memory.Address(start), End: memory.Address(end)},
		Read:   fields[1][0] == 'r',
		Write:  fields[1][1] == 'w',
		Exec:   fields[1][2] == 'x',
		Shared: fields[1][3] == 's',
		Offset: offset,
		Device: fields[3],
		Inode:  inode,
	}
	if len(fields) == 6 {
		m.Path = strings.TrimLeft(fields[5], " ")
	}
	return m, nil
}
