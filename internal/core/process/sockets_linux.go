package process

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// maxTable bounds each of the kernel's tables of sockets.
const maxTable = 32 << 20

// Descriptor returns the link of a descriptor in /proc, "" if it cannot be read. For a file
// it is "file:[ID]" with the ID of its mount: names of files may be personal data. For a process
// it is that of Child.
func (p *Process) Descriptor(n int) string {
	link, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.PID, n))
	switch {
	case link == "anon_inode:[pidfd]":
		numbers := strings.Fields(p.descriptorInfo(n, "NSpid:"))
		pid, err := strconv.Atoi(p.descriptorInfo(n, "Pid:"))
		if err != nil || pid <= 0 || len(numbers) == 0 {
			return link
		}
		return fmt.Sprintf("process:[%s %s]", numbers[len(numbers)-1], commandName(pid))
	case strings.HasPrefix(link, "/") && !strings.HasPrefix(link, "/dev/"):
		return fmt.Sprintf("file:[%s]", p.descriptorInfo(n, "mnt_id:"))
	}
	return link
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

// Child returns a link as Descriptor does for a child of the process, "" if there is none
// with the number.
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

// Sockets reads the sockets of the process' network namespace, and its mounts. The range of ports is that of
// the namespace of this process.
func (p *Process) Sockets() *Sockets {
	ports, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	s := newSockets(parsePorts(string(ports)))
	read := func(name string, add func(io.Reader)) {
		if f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", p.PID, name)); err == nil {
			defer f.Close()
			add(io.LimitReader(f, maxTable))
		}
	}
	for protocol, names := range map[string][]string{"TCP": {"tcp", "tcp6"}, "UDP": {"udp", "udp6"}} {
		for _, name := range names {
			read(name, func(r io.Reader) { s.addInternet(protocol, r) })
		}
	}
	read("unix", s.addUNIX)
	mounts, _ := p.read("mountinfo")
	s.addMounts(string(mounts))
	return s
}
