package capture

import (
	"os"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/process"
)

// A source is what a capture is made from: a process that lives, or a full core
// of one.
type source interface {
	Maps() ([]process.Mapping, error)
	Stat() (process.Stat, error)
	Auxv() ([]byte, error)
	Args() ([]string, error)

	// Executable returns the executable file, the name that the program's
	// mappings have of it, and a path by which it can be opened. That of a
	// living process is the caller's to close, that of a core the core's.
	Executable() (file *exe.File, name, path string, err error)
}

// living is a process that is there.
type living struct{ *process.Process }

// Executable is source's.
func (l living) Executable() (file *exe.File, name, path string, err error) {
	path = l.ExePath()
	if file, err = exe.Open(path); err != nil {
		return nil, "", "", err
	}
	if name, err = l.ExeName(); err != nil {
		file.Close()
		return nil, "", "", err
	}
	return file, name, path, nil
}

// host is where the program runs, as far as it is known.
func (t *taking) host() (name, kernel string) {
	if t.process == nil {
		return "", ""
	}
	name, _ = os.Hostname()
	return name, kernelRelease()
}
