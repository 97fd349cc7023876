package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Names reads the sockets and mounts of the process.
func (p *Process) Names() *Names {
	mounts, _ := p.read("mountinfo") // without it files have no mounts
	return &Names{sockets: p.sockets(), mounts: parseMounts(string(mounts))}
}

// Descriptor returns the link of a descriptor in /proc, "" if it cannot be read. For a process
// it is that of Child. The path of a file may be personal data: see File.
func (p *Process) Descriptor(n int) string {
	link := p.descriptorLink(n)
	if link != "anon_inode:[pidfd]" {
		return link
	}
	numbers := strings.Fields(p.descriptorInfo(n, "NSpid:"))
	pid, err := strconv.Atoi(p.descriptorInfo(n, "Pid:"))
	if err != nil || pid <= 0 || len(numbers) == 0 {
		return link
	}
	// The last number is that of the innermost namespace, which may be the child's alone.
	own := min(max(len(p.numbers(p.PID)), 1), len(numbers)) - 1
	return fmt.Sprintf("process:[%s %s]", numbers[own], commandName(pid))
}

func (p *Process) descriptorLink(n int) string {
	link, _ := os.Readlink(p.path("fd/" + strconv.Itoa(n)))
	return link
}

// File returns a link for a descriptor that has a path as its link: "device:[PATH]" for a
// device, "file:[ID PATH]" with the ID of its mount for any other, "" if the descriptor has another link by
// now. The kernel takes long for a file with many locks.
func (p *Process) File(n int, link string) string {
	mount := p.descriptorInfo(n, "mnt_id:")
	device := false
	if strings.HasPrefix(link, "/dev/") {
		info, err := os.Stat(p.path("fd/" + strconv.Itoa(n)))
		device = err == nil && info.Mode()&os.ModeDevice != 0
	}
	switch {
	case p.descriptorLink(n) != link:
		return ""
	case device:
		return "device:[" + link + "]"
	}
	return fmt.Sprintf("file:[%s %s]", mount, link)
}

// descriptorInfo returns a field of what the kernel reports about a descriptor.
func (p *Process) descriptorInfo(n int, field string) string {
	text, _ := p.read("fdinfo/" + strconv.Itoa(n))
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Child returns a link for a child of the process, "process:[ID NAME]"; "" if there is none
// with the ID.
func (p *Process) Child(pid int) string {
	if len(p.numbers(p.PID)) > 1 {
		return fmt.Sprintf("process:[%d ]", pid) // the number is of another PID namespace
	}
	if stat, err := (&Process{PID: pid}).Stat(); err != nil || stat.Parent != p.PID {
		return ""
	}
	return fmt.Sprintf("process:[%d %s]", pid, commandName(pid))
}

func commandName(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSuffix(string(name), "\n")
}

// SharesFiles reports whether a thread has the descriptors of the process, as all do that
// did not ask the kernel for their own. It returns true if the kernel does not report it.
func (p *Process) SharesFiles(tid int) bool {
	const kcmpFiles = 2 // of linux/kcmp.h
	if CompareFiles.Killed() != nil {
		return true
	}
	order, _, err := unix.RawSyscall6(unix.SYS_KCMP, uintptr(p.thread()), uintptr(tid), kcmpFiles, 0, 0, 0)
	return err != 0 || order == 0
}
