package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// TracedBy returns the process that traces this one with ptrace, and its name;
// 0 if there is none. A traced process cannot be stopped by another.
func (p *Process) TracedBy() (pid int, name string) {
	status, err := p.Status()
	if err != nil {
		return 0, ""
	}
	pid = groupOf(status["TracerPid"])
	if pid == 0 {
		return 0, ""
	}
	comm, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm")) // it may have ended
	return pid, strings.TrimSpace(string(comm))
}

// groupOf returns the process to which a thread belongs: the kernel names the
// tracing thread. It returns 0 for 0.
func groupOf(tid string) int {
	id, err := strconv.Atoi(tid)
	if err != nil || id == 0 {
		return 0
	}
	p, err := Open(id)
	if err != nil {
		return id
	}
	defer p.Close()
	status, err := p.Status()
	if err != nil {
		return id
	}
	if group, err := strconv.Atoi(status["Tgid"]); err == nil {
		return group
	}
	return id
}

// TracerAdvice returns what the user can do about a process that traces the
// target.
func TracerAdvice(name string, pid int) string {
	if name == "meminspect" {
		return "it is the supervisor: let it capture, with `meminspect trigger " + strconv.Itoa(pid) + "`"
	}
	return "end that debugger or strace, or capture with --no-stop"
}
