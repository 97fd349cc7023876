// Package reap lets a program that is init, or a subreaper, reap orphans
// without taking the statuses of children for which other code waits.
package reap

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/meminspect/meminspect/internal/core/process"
)

// waitedFor are children that have a waiter of their own. The lock is held
// while one starts, so that none is an orphan before it is known.
var waitedFor struct {
	sync.Mutex
	pids map[int]bool
}

// Run runs a command to its end, safe from Orphans.
func Run(cmd *exec.Cmd) error {
	if err := Start(cmd); err != nil {
		return err
	}
	return Wait(cmd)
}

// Start starts a command, safe from Orphans until [Wait] returns.
func Start(cmd *exec.Cmd) error {
	// Package os opens a descriptor of each process that it starts.
	if err := process.OpenPidfd.Killed(); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	waitedFor.Lock()
	defer waitedFor.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	if waitedFor.pids == nil {
		waitedFor.pids = map[int]bool{}
	}
	waitedFor.pids[cmd.Process.Pid] = true
	return nil
}

// Wait waits for the end of a command that [Start] started.
func Wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	waitedFor.Lock()
	delete(waitedFor.pids, cmd.Process.Pid)
	waitedFor.Unlock()
	return err
}

// Needed reports whether orphans come to us.
func Needed() bool {
	if os.Getpid() == 1 {
		return true
	}
	var set int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&set)), 0, 0, 0)
	return err == nil && set != 0
}

// Orphans reaps dead children for which no code waits, and returns their
// number. not is a child for which the caller waits.
func Orphans(not int) int {
	waitedFor.Lock()
	defer waitedFor.Unlock()
	n := 0
	for _, pid := range zombies() {
		if pid == not || waitedFor.pids[pid] {
			continue
		}
		if got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err == nil && got == pid {
			n++
		}
	}
	return n
}

// zombies lists our children that are dead. Where the kernel has no list of
// children, all processes are looked at.
func zombies() []int {
	var pids []int
	tasks, _ := os.ReadDir("/proc/self/task")
	listed := false
	for _, task := range tasks {
		text, err := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		if err != nil {
			continue
		}
		listed = true
		for field := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil && isZombie(pid, 0) {
				pids = append(pids, pid)
			}
		}
	}
	if listed {
		return pids
	}
	all, _ := os.ReadDir("/proc")
	for _, e := range all {
		if pid, err := strconv.Atoi(e.Name()); err == nil && isZombie(pid, os.Getpid()) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// isZombie reports whether a process is dead, and a child of parent unless that
// is 0.
func isZombie(pid, parent int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The name in brackets may hold anything.
	i := strings.LastIndexByte(string(stat), ')')
	fields := strings.Fields(string(stat[i+1:]))
	return i > 0 && len(fields) > 1 && fields[0] == "Z" && (parent == 0 || fields[1] == strconv.Itoa(parent))
}
