package process

import (
	"strings"
	"testing"
)

const tcpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0200000A:C001 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0000000000000000 20 4 30 10 -1
   2: 0200000A:9C40 0900000A:1538 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0000000000000000 20 4 30 10 -1
`

const tcp6Table = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21 1 0000000000000000 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:1F91 0000000000000000FFFF00000300000A:C002 01 00000000:00000000 00:00000000 00000000     0        0 22 1 0000000000000000 20 4 30 10 -1
   2: B80D0120000000000000000001000000:9C41 B80D0120000000000000000002000000:01BB 01 00000000:00000000 00:00000000 00000000     0        0 23 1 0000000000000000 20 4 30 10 -1
`

const unixTable = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01    31 /run/a socket
0000000000000000: 00000003 00000000 00000000 0001 03    32
`

func tables(tcp, tcp6, unix string) *Sockets {
	s := &Sockets{byInode: map[string]socket{}, listening: map[uint16]bool{}}
	s.addInternet("TCP", strings.NewReader(tcp))
	s.addInternet("TCP", strings.NewReader(tcp6))
	s.addUNIX(strings.NewReader(unix))
	return s
}

func TestSocketNames(t *testing.T) {
	s := tables(tcpTable, tcp6Table, unixTable)
	for link, want := range map[string]string{
		"socket:[11]":          "TCP 127.0.0.1:8080, listening",
		"socket:[12]":          "TCP from clients of port 8080",
		"socket:[13]":          "TCP to 10.0.0.9:5432",
		"socket:[21]":          "TCP [::]:8081, listening",
		"socket:[22]":          "TCP from clients of port 8081",
		"socket:[23]":          "TCP to [2001:db8::2]:443",
		"socket:[31]":          "UNIX /run/a socket",
		"socket:[32]":          "UNIX socket",
		"socket:[99]":          "socket",
		"pipe:[7]":             "pipe",
		"anon_inode:[eventfd]": "eventfd",
		"/dev/pts/1":           "/dev/pts/1",
		"/home/ada/secret":     "file",
		"":                     "",
	} {
		if got := s.Name(link); got != want {
			t.Errorf("%q is %q, not %q", link, got, want)
		}
	}
	if got := (*Sockets)(nil).Name("socket:[11]"); got != "socket" {
		t.Errorf("without tables: %q", got)
	}
}

// Whatever the tables contain, each link has a name of one line, and no name of a connection
// to a listening port has its client's address.
func FuzzSocketNames(f *testing.F) {
	f.Add(tcpTable, tcp6Table, unixTable)
	f.Fuzz(func(t *testing.T, tcp, tcp6, unix string) {
		s := tables(tcp, tcp6, unix)
		for inode, k := range s.byInode {
			name := s.Name("socket:[" + inode + "]")
			if name == "" || strings.Contains(name, "\n") {
				t.Errorf("%q", name)
			}
			client := k.protocol == "TCP" && !k.listens && s.listening[k.local.Port()]
			if client && strings.Contains(name, k.remote.Addr().String()) {
				t.Errorf("%q has the address of the client %v", name, k.remote)
			}
		}
	})
}
