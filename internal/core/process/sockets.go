package process

import (
	"bufio"
	"encoding/hex"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Sockets are the sockets of a network namespace, as far as the kernel's tables have them.
type Sockets struct {
	byInode   map[string]socket
	listening map[uint16]bool // ports of TCP
}

// A socket is what a table has of a socket.
type socket struct {
	protocol      string // TCP, UDP or UNIX
	local, remote netip.AddrPort
	listens       bool
	path          string // of UNIX
}

// tcpListen is the state of a socket that listens, in the kernel's tables.
const tcpListen = "0A"

// addInternet adds a table such as /proc/net/tcp6.
func (s *Sockets) addInternet(protocol string, table io.Reader) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			continue
		}
		local, ok1 := address(f[1])
		remote, ok2 := address(f[2])
		if !ok1 || !ok2 {
			continue // the head
		}
		listens := protocol == "TCP" && f[3] == tcpListen
		if listens {
			s.listening[local.Port()] = true
		}
		s.byInode[f[9]] = socket{protocol: protocol, local: local, remote: remote, listens: listens}
	}
}

// addUNIX adds the table /proc/net/unix.
func (s *Sockets) addUNIX(table io.Reader) {
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

// Name returns what a descriptor is, from its link in /proc. The address of a client of the
// process is not in it: it belongs to a person. A nil Sockets knows no sockets.
func (s *Sockets) Name(link string) string {
	kind, rest, found := strings.Cut(link, ":[")
	switch {
	case link == "":
		return ""
	case found && kind == "socket":
		if s == nil {
			return kind
		}
		socket, known := s.byInode[strings.TrimSuffix(rest, "]")]
		if !known {
			return kind
		}
		return s.name(&socket)
	case found && kind == "anon_inode":
		return strings.TrimSuffix(rest, "]") // an eventfd
	case found:
		return kind // a pipe
	case strings.HasPrefix(link, "/dev/"):
		return link
	}
	return "file"
}

func (s *Sockets) name(k *socket) string {
	switch {
	case k.protocol == "UNIX" && k.path == "":
		return "UNIX socket"
	case k.protocol == "UNIX":
		return "UNIX " + k.path
	case k.listens:
		return "TCP " + k.local.String() + ", listening"
	case k.remote.Port() == 0:
		return k.protocol + " " + k.local.String()
	case k.protocol == "TCP" && s.listening[k.local.Port()]:
		return "TCP from clients of port " + strconv.Itoa(int(k.local.Port()))
	}
	return k.protocol + " to " + k.remote.String()
}
