package locate

import (
	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
)

// A Source is what a program is captured from: a [Live] process, or a full core
// (*fullcore.Core).
type Source interface {
	PID() int
	Machine() uint16 // the ELF machine
	Stat() (process.Stat, error)
	Auxv() ([]byte, error)
	Args() ([]string, error)
	Maps() ([]process.Mapping, error)

	// Executable returns the executable file, which the source owns, its name in
	// the mappings, and a path that opens it.
	Executable() (file *exe.File, name, path string, err error)

	// Host returns where and since when the process runs, as far as known.
	Host() process.Host

	Memory() memory.Memory

	// Clock returns the time of the clock by which the runtime records how long
	// goroutines wait, in nanoseconds; 0 if unknown.
	Clock() int64

	// Lacks reports whether the program had memory in r that Memory lacks.
	Lacks(r memory.Range) bool

	// Descriptor and Child return the link of a descriptor and of a child process, File that of
	// a descriptor whose link is a path, and Names the names of links; "" and nil if unknown.
	// SharesFiles reports whether a thread has the descriptors of the main thread.
	Descriptor(n int) string
	File(n int, link string) string
	Child(pid int) string
	SharesFiles(tid int) bool
	Names() *process.Names
}

// A Live is a live process.
type Live struct {
	Process *process.Process

	file      *exe.File
	libraries []*exe.File
}

// Open returns the process with that ID. The caller must close it.
func Open(pid int) (*Live, error) {
	p, err := process.Open(pid)
	if err != nil {
		return nil, err
	}
	return &Live{Process: p}, nil
}

// Close closes the files that were opened. It does not affect the process.
func (l *Live) Close() error {
	if l.file != nil {
		l.file.Close()
	}
	for _, f := range l.libraries {
		f.Close()
	}
	return l.Process.Close()
}

// PID returns the process' ID.
func (l *Live) PID() int { return l.Process.PID }

// Machine returns this host's machine.
func (l *Live) Machine() uint16 { return process.HostMachine() }

// Stat returns the process' state.
func (l *Live) Stat() (process.Stat, error) { return l.Process.Stat() }

// Auxv returns the process' auxiliary vector.
func (l *Live) Auxv() ([]byte, error) { return l.Process.Auxv() }

// Args returns the process' arguments.
func (l *Live) Args() ([]string, error) { return l.Process.Args() }

// Maps returns the process' mappings.
func (l *Live) Maps() ([]process.Mapping, error) { return l.Process.Maps() }

// Host returns what the kernel reports about the process.
func (l *Live) Host() process.Host { return l.Process.Host() }

// Memory returns the process' memory.
func (l *Live) Memory() memory.Memory { return l.Process.Memory() }

// Clock returns the time of this host's clock.
func (l *Live) Clock() int64 { return process.Clock() }

// Lacks returns false: a live process has all of its memory.
func (l *Live) Lacks(memory.Range) bool { return false }

// Descriptor returns what the kernel reports about a descriptor.
func (l *Live) Descriptor(n int) string { return l.Process.Descriptor(n) }

// File returns what the kernel reports about a descriptor of a file.
func (l *Live) File(n int, link string) string { return l.Process.File(n, link) }

// SharesFiles reports whether a thread has the descriptors of the main thread.
func (l *Live) SharesFiles(tid int) bool { return l.Process.SharesFiles(tid) }

// Child returns what the kernel reports about a child process.
func (l *Live) Child(pid int) string { return l.Process.Child(pid) }

// Names returns the names of links.
func (l *Live) Names() *process.Names { return l.Process.Names() }

// Executable opens the process' executable file.
func (l *Live) Executable() (file *exe.File, name, path string, err error) {
	path = l.Process.ExePath()
	if l.file == nil {
		if l.file, err = exe.Open(path); err != nil {
			return nil, "", "", err
		}
	}
	if name, err = l.Process.ExeName(); err != nil {
		return nil, "", "", err
	}
	return l.file, name, path, nil
}

// MissingLibrary returns nil: the memory of a live process has all libraries.
func (l *Live) MissingLibrary() error { return nil }

// Library opens the mapped file, as the process sees it, and returns the path
// by which it did.
func (l *Live) Library(m process.Mapping) (file *exe.File, path string, err error) {
	path = l.Process.FilePath(m)
	f, err := exe.Open(path)
	if err == nil {
		l.libraries = append(l.libraries, f)
	}
	return f, path, err
}
