package process

import (
	"strings"
	"testing"
)

const tcpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0200000A:C001 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0000000000000000 20 4 30 10 -1
   2: 0200000A:9C40 0900000A:1538 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0000000000000000 20 4 30 10 -1
   3: 0200000A:C383 0300000A:C001 01 00000000:00000000 00:00000000 00000000     0        0 14 1 0000000000000000 20 4 30 10 -1
   4: 0200000A:9C42 0900000A:C383 01 00000000:00000000 00:00000000 00000000     0        0 15 1 0000000000000000 20 4 30 10 -1
   5: 0200000A:9C43 0900000A:C383 01 00000000:00000000 00:00000000 00000000     0        0 16 1 0000000000000000 20 4 30 10 -1
   6: 0200000A:9C44 0900000A:C384 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000 20 4 30 10 -1
   7: 0200000A:01BB 0300000A:C005 01 00000000:00000000 00:00000000 00000000     0        0 17 1 0000000000000000 20 4 30 10 -1
   8: 0200000A:C385 0300000A:C006 01 00000000:00000000 00:00000000 00000000     0        0 18 1 0000000000000000 20 4 30 10 -1
   9: 0200000A:C385 0300000A:01BB 01 00000000:00000000 00:00000000 00000000     0        0 19 1 0000000000000000 20 4 30 10 -1
`

const tcp6Table = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21 1 0000000000000000 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:1F91 0000000000000000FFFF00000300000A:C002 01 00000000:00000000 00:00000000 00000000     0        0 22 1 0000000000000000 20 4 30 10 -1
   2: B80D0120000000000000000001000000:9C41 B80D0120000000000000000002000000:01BB 01 00000000:00000000 00:00000000 00000000     0        0 23 1 0000000000000000 20 4 30 10 -1
   3: 0000000000000000FFFF00000100007F:9C46 0000000000000000FFFF00000100007F:1F91 01 00000000:00000000 00:00000000 00000000     0        0 24 1 0000000000000000 20 4 30 10 -1
`

const unixTable = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01    31 /run/a socket
0000000000000000: 00000003 00000000 00000000 0001 03    32
`

func tables(tcp, tcp6, unix string) *sockets {
	s := newSockets(defaultPorts)
	s.addInternet("TCP", strings.NewReader(tcp))
	s.addInternet("TCP", strings.NewReader(tcp6))
	s.addUNIX(strings.NewReader(unix))
	return s
}

func TestSocketNames(t *testing.T) {
	s := tables(tcpTable, tcp6Table, unixTable)
	for inode, want := range map[string]string{
		"11": "TCP 127.0.0.1:8080, listening",
		"12": "TCP from clients of port 8080",
		"13": "TCP to 10.0.0.9:5432",
		"14": "TCP connection",        // both ports are of the kernel's choice
		"15": "TCP to 10.0.0.9:50051", // two connections to it
		"16": "TCP to 10.0.0.9:50051", //
		"17": "TCP connection",        // the listener of port 443 was closed
		"18": "TCP connection",        // of a port with several connections
		"19": "TCP connection",        //
		"0":  "socket",                // of no process
		"21": "TCP [::]:8081, listening",
		"22": "TCP from clients of port 8081",
		"23": "TCP to [2001:db8::2]:443",
		"24": "TCP to 127.0.0.1:8081",
		"31": "UNIX /run/a socket",
		"32": "UNIX socket",
		"99": "socket",
	} {
		if got := s.name(inode); got != want {
			t.Errorf("%q is %q, not %q", inode, got, want)
		}
	}
}

func TestPortRange(t *testing.T) {
	for text, want := range map[string]portRange{
		"1024\t65535\n": {1024, 65535}, "": defaultPorts, "9 x": defaultPorts, "70000 80000": defaultPorts, "9 3": defaultPorts,
	} {
		if got := parsePorts(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

// Whatever the tables contain, each link has a name of one line. A name has the other side's
// address only if the local port is of the kernel's choice, of no other connection, and
// has no listener.
func FuzzSocketNames(f *testing.F) {
	f.Add(tcpTable, tcp6Table, unixTable)
	f.Fuzz(func(t *testing.T, tcp, tcp6, unix string) {
		s := tables(tcp, tcp6, unix)
		for inode, k := range s.byInode {
			name := s.name(inode)
			if name == "" || strings.Contains(name, "\n") {
				t.Errorf("%q", name)
			}
			port := k.local.Port()
			client := s.listening[port] || s.locals[port] != 1 || !s.ephemeral.contains(port)
			if strings.Contains(name, " to ") && k.protocol != "UNIX" && client {
				t.Errorf("%q may have the address of a client: %+v", name, k)
			}
		}
	})
}
