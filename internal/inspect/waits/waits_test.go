package waits

import "testing"

// What is outside of the program is worth a line of the report: a server, a file system, a
// child; not what clients do, nor a call of which nothing is known.
func TestOutside(t *testing.T) {
	for kind, want := range map[string]bool{
		"TCP to 10.0.0.9:5432":        true,
		"UDP to 10.0.0.9:53":          true,
		"TCP from clients of port 80": false,
		"TCP connection":              false,
		"pipe":                        false,
		"chan":                        false,
		"system call flock: file of nfs4, mounted at /mnt/data": true,
		"system call waitid: process 7 (ffmpeg)":                true,
		"system call openat":                                    false,
	} {
		o := Object{Kind: kind, Waiters: []Waiter{{Descriptor: 5}}}
		if got := o.Outside(); got != want {
			t.Errorf("%s: %v", kind, got)
		}
	}
}
