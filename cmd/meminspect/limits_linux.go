package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/supervise/child"
)

// Least limits of this process. Go's runtime ends a process that gets no
// descriptor or no memory, in the middle of its work. docs/reference/limits.md
// has these numbers.
const (
	commandDescriptors    = 16
	supervisorDescriptors = 32
	leastAddressSpace     = 1 << 30
)

// roomForCommand returns an error if limits of this process leave no room for a
// command.
func roomForCommand() error {
	return roomFor("meminspect", commandDescriptors)
}

// roomForSupervisor returns an error if limits of this process leave no room
// for a supervisor.
func roomForSupervisor() error {
	if err := roomFor("a supervisor", supervisorDescriptors); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	// The program gets its descriptors by the numbers that they have here.
	limit, last := current(unix.RLIMIT_NOFILE), uint64(len(child.Inherited())-1)
	if need := last + 1 + child.Spare; need > limit {
		return fmt.Errorf("run: pass the descriptor %d to the program: ulimit -n allows %d descriptors: close it, or raise the limit to %d", last, limit, need)
	}
	return roomForThreads()
}

func roomFor(who string, descriptors uint64) error {
	for _, l := range []struct {
		resource int
		least    uint64
		what     string
		raise    string
	}{
		{unix.RLIMIT_NOFILE, descriptors, "descriptors", fmt.Sprintf("ulimit -n %d", descriptors)},
		{unix.RLIMIT_AS, leastAddressSpace, "bytes of address space", fmt.Sprintf("ulimit -v %d", leastAddressSpace>>10)},
	} {
		if limit := current(l.resource); limit < l.least {
			return fmt.Errorf("%s needs %d %s, and the limit is %d: raise it with %s", who, l.least, l.what, limit, l.raise)
		}
	}
	return nil
}

// current returns a limit of this process. An unknown one is infinite.
func current(resource int) uint64 {
	limit := unix.Rlimit{Cur: unix.RLIM_INFINITY}
	if err := unix.Getrlimit(resource, &limit); err != nil {
		return unix.RLIM_INFINITY
	}
	return limit.Cur
}

// supervisorThreads is the number of threads that a supervisor, its witness and
// the starting program may have together.
const supervisorThreads = 48

// roomForThreads is roomForSupervisor for the threads of this user, in all
// processes. The kernel does not limit those of the superuser.
func roomForThreads() error {
	const many = 1 << 14 // no user reaches this by accident, and counting takes time
	limit := current(unix.RLIMIT_NPROC)
	if os.Getuid() == 0 || limit > many {
		return nil
	}
	n := uint64(0)
	dirs, _ := filepath.Glob("/proc/[0-9]*/task")
	for _, dir := range dirs {
		var stat unix.Stat_t
		if unix.Stat(dir, &stat) == nil && int(stat.Uid) == os.Getuid() {
			n += uint64(stat.Nlink) - 2 //nolint:unconvert // narrower on other systems; a directory for each thread
		}
	}
	if n+supervisorThreads > limit {
		return fmt.Errorf("run: a supervisor and a program need %d threads, and ulimit -u allows %d, of which this user has %d", supervisorThreads, limit, n)
	}
	return nil
}
