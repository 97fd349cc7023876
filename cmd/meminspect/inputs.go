//go:build linux

package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/symbols"
	"github.com/meminspect/meminspect/internal/supervise"
)

// checkProgram checks --include and --symbols against the executable at path. wrong
// is a mistake in the flags; unknown is why they cannot be checked.
func (f *captureFlags) checkProgram(path string) (wrong, unknown error) {
	if len(f.include) == 0 && f.symbols == "" {
		return nil, nil
	}
	if _, err := buildinfo.ReadFile(path); err != nil {
		return nil, fmt.Errorf("%s is not a Go program: %w", path, err)
	}
	file, err := exe.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var table symbols.Table
	if f.symbols != "" {
		if table, err = symbols.OpenTwin(f.symbols, file); err != nil {
			return fmt.Errorf("--%w", err), nil
		}
	} else {
		table, _ = symbols.Read(file) // a stripped file has none, which Variable explains
	}
	for _, name := range f.include {
		if _, err := table.Variable(name); err != nil {
			return fmt.Errorf("--%w", err), nil
		}
	}
	return nil, nil
}

// checkRunning is checkProgram for a process. It returns what is wrong or unknown.
func (f *captureFlags) checkRunning(pid int) []error {
	wrong, unknown := f.checkProgram(filepath.Join(process.Dir(pid), "exe"))
	return slices.DeleteFunc([]error{wrong, unknown}, func(err error) bool { return err == nil })
}

// checkInputs checks the flags that a core would need at its end against the program
// and the file system, so that a mistake does not show only then. What may still
// change is a warning.
func (f *runFlags) checkInputs(program string, report *supervise.Reporter) error {
	if path, err := exec.LookPath(program); err == nil || errors.Is(err, exec.ErrDot) {
		wrong, unknown := f.checkProgram(path)
		if wrong != nil {
			return fmt.Errorf("run: %w", wrong)
		}
		if unknown != nil {
			remark(report, "--include and --symbols are not checked until a capture: "+unknown.Error())
		}
	}
	f.warnOfFiles(report)
	return nil
}

// warnOfFiles reports files that cannot be read or written now.
func (f *runFlags) warnOfFiles(report *supervise.Reporter) {
	for _, path := range f.attach {
		if _, err := os.Stat(path); err != nil {
			remark(report, "--attach: "+err.Error()+": a core is made without the file while that is so")
		}
	}
	for _, flag := range []struct{ name, path string }{{"crash-text", f.text}, {"message", f.message}} {
		if flag.path == "" {
			continue
		}
		if err := writable(flag.path); err != nil {
			remark(report, fmt.Sprintf("--%s: %s cannot be written: %v", flag.name, flag.path, err))
		}
	}
}

// writable returns why a file cannot be written, or made. It does not make the file.
func writable(path string) error {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return access(filepath.Dir(path))
	case err != nil:
		return errors.Unwrap(err)
	case info.IsDir():
		return unix.EISDIR
	}
	return access(path)
}

func access(path string) error {
	if err := unix.Access(path, unix.W_OK); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// remark reports a fact that is not about a process.
func remark(report *supervise.Reporter, text string) {
	report.Report(supervise.Event{Time: time.Now(), What: supervise.Note, Text: text})
}
