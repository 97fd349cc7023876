package process

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// sockets are the sockets of a network namespace, as far as the kernel's tables have them.
type sockets struct {
	byInode   map[string]socket
	listening map[uint16]bool        // ports of TCP
	locals    map[uint16]int         // connections by local port
	remotes   map[netip.AddrPort]int // and by remote address
	ephemeral portRange
}

// A socket is what a table has of a socket.
type socket struct {
	protocol      string // TCP, UDP or UNIX
	local, remote netip.AddrPort
	listens       bool
	path          string // of UNIX
}

// A portRange has the ports that the kernel gives to connections of clients.
type portRange struct{ first, last uint16 }

func (r portRange) contains(port uint16) bool { return r.first <= port && port <= r.last }

// defaultPorts are those of Linux.
var defaultPorts = portRange{32768, 60999}

// parsePorts reads /proc/sys/net/ipv4/ip_local_port_range.
func parsePorts(text string) portRange {
	var r portRange
	if n, err := fmt.Sscan(text, &r.first, &r.last); n < 2 || err != nil || r.first > r.last {
		return defaultPorts
	}
	return r
}

func newSockets(ephemeral portRange) *sockets {
	return &sockets{
		byInode: map[string]socket{}, listening: map[uint16]bool{},
		locals: map[uint16]int{}, remotes: map[netip.AddrPort]int{}, ephemeral: ephemeral,
	}
}

// tcpListen is the state of a socket that listens, in the kernel's tables.
const tcpListen = "0A"

// addInternet adds a table such as /proc/net/tcp6.
func (s *sockets) addInternet(protocol string, table io.Reader) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[9] == "0" { // of no process
			continue
		}
		local, ok1 := address(f[1])
		remote, ok2 := address(f[2])
		if !ok1 || !ok2 {
			continue // the head
		}
		k := socket{protocol: protocol, local: local, remote: remote, listens: protocol == "TCP" && f[3] == tcpListen}
		switch {
		case k.listens:
			s.listening[local.Port()] = true
		case remote.Port() != 0:
			s.locals[local.Port()]++
			s.remotes[remote]++
		}
		s.byInode[f[9]] = k
	}
}

// addUNIX adds the table /proc/net/unix.
func (s *sockets) addUNIX(table io.Reader) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) >= 7 && f[6] != "Inode" {
			s.byInode[f[6]] = socket{protocol: "UNIX", path: strings.Join(f[7:], " ")}
		}
	}
}

// address reads an address of the kernel's tables: words of 32 bits in hexadecimal digits,
// each with its lowest byte first, and a port.
func address(text string) (netip.AddrPort, bool) {
	digits, port, _ := strings.Cut(text, ":")
	b, err1 := hex.DecodeString(digits)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err1 != nil || err2 != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), true
}

// name returns what the socket with an inode is. It has the address of the other side only if
// the process has certainly connected to it: the address of a client is personal data.
func (s *sockets) name(inode string) string {
	k, known := s.byInode[inode]
	if !known {
		return "socket"
	}
	switch {
	case k.protocol == "UNIX" && k.path == "":
		return "UNIX socket"
	case k.protocol == "UNIX":
		return "UNIX " + strings.Map(printable, k.path)
	case k.listens:
		return "TCP " + k.local.String() + ", listening"
	case k.remote.Port() == 0:
		return k.protocol + " " + k.local.String()
	case k.protocol == "TCP" && s.listening[k.local.Port()]:
		return "TCP from clients of port " + strconv.Itoa(int(k.local.Port()))
	case s.outgoing(&k):
		return k.protocol + " to " + k.remote.String()
	}
	return k.protocol + " connection"
}

// outgoing reports whether the process has certainly connected to the other side. The kernel
// does not record it, and a server that shuts down may have closed its listener. A client
// has a port of the kernel's choice, which no other connection has.
func (s *sockets) outgoing(k *socket) bool {
	if !s.ephemeral.contains(k.local.Port()) || s.locals[k.local.Port()] > 1 {
		return false
	}
	here := k.remote.Addr().IsLoopback() && s.listening[k.remote.Port()]
	return here || !s.ephemeral.contains(k.remote.Port()) || s.remotes[k.remote] > 1
}
