package process

import (
	"io"
	"os"
)

// maxTable bounds each of the kernel's tables of sockets.
const maxTable = 32 << 20

// sockets reads the sockets of the process' network namespace. The range of ports is that of
// the namespace of this process.
func (p *Process) sockets() *sockets {
	ports, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	s := newSockets(parsePorts(string(ports)))
	read := func(name string, add func(io.Reader)) {
		if f, err := os.Open(p.path("net/" + name)); err == nil {
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
	return s
}
