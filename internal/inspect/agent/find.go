//go:build unix

package agent

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/runtime/format/minidump"
)

// ErrNoTable reports that a process has no table of contents mapped.
var ErrNoTable = errors.New("no minidump table of contents")

// FindTable returns where a process has its table of contents.
func FindTable(p *process.Process) (memory.Address, error) {
	maps, err := p.Maps()
	if err != nil {
		return 0, err
	}
	head := make([]byte, minidump.GlobalSize)
	for _, m := range maps {
		if m.Inode == 0 || !m.Write || m.Offset != 0 {
			continue
		}
		if _, err := p.Memory().ReadAt(head, m.Start); err != nil {
			continue
		}
		if _, err := minidump.ParseGlobal(head); err == nil {
			return m.Start, nil
		}
	}
	return 0, fmt.Errorf("%w in any of its %d mappings", ErrNoTable, len(maps))
}

// FindProcess returns a process that has the file mapped.
func FindProcess(path string) (pid int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	head := make([]byte, minidump.GlobalSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := minidump.ParseGlobal(head); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, e := range procs {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + e.Name() + "/maps")
		if err != nil {
			continue // gone, or not ours to read
		}
		maps, err := process.ParseMaps(text)
		if err != nil {
			continue
		}
		for _, m := range maps {
			if m.Inode == st.Ino && m.Inode != 0 && m.Write {
				return pid, nil
			}
		}
	}
	return 0, fmt.Errorf("%s: no process has it mapped: the memory that it names is gone", path)
}
