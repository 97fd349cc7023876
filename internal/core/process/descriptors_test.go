package process

import (
	"cmp"
	"os"
	"regexp"
	"strings"
	"testing"
)

const mounts = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
44 22 0:40 /export /mnt/my\040data rw,relatime shared:20 master:3 - nfs4 10.0.0.2:/export rw,vers=4.2
45
`

func TestNames(t *testing.T) {
	names := &Names{sockets: tables(tcpTable, tcp6Table, unixTable), mounts: parseMounts(mounts)}
	for link, want := range map[string]string{
		"":                        "",
		"socket:[13]":             "TCP to 10.0.0.9:5432",
		"socket:[99]":             "socket",
		"file:[22 /etc/a secret]": "file of ext4, mounted at /",
		"file:[44 /mnt/a]":        "file of nfs4, mounted at /mnt/my data",
		"file:[44 /mnt/my data]":  "file of nfs4", // mounted itself
		"file:[45 /a]":            "file",
		"file:[ /a]":              "file",
		"/a secret":               "file",
		"/socket:[11]":            "file",
		"device:[/dev/tty\x1b]":   "/dev/tty?",
		"process:[12 cat]":        "process 12 (cat)",
		"process:[12 a] b]":       "process 12 (a] b)",
		"process:[12 ]":           "process 12",
		"process:[12 a\nb\x1b]":   "process 12 (a?b?)",
		"pipe:[7]":                "pipe",
		"anon_inode:[eventfd]":    "eventfd",
		"/home/ada/secret":        "file",
	} {
		if got := names.Name(link); got != want {
			t.Errorf("%q is %q, not %q", link, got, want)
		}
		if bare := (*Names)(nil).Name(link); (bare == "") != (link == "") {
			t.Errorf("without the tables %q is %q", link, bare)
		}
	}
}

// A name is one line, whatever a command and a mount are called, and has no path of a file.
func FuzzNames(f *testing.F) {
	f.Add(mounts, "cat", "/a")
	f.Fuzz(func(t *testing.T, text, command, path string) {
		names := &Names{sockets: newSockets(defaultPorts), mounts: parseMounts(text)}
		links := []string{"process:[7 " + command + "]", "device:[/dev/" + command + "]", "/" + path}
		for id, m := range names.mounts {
			links = append(links, "file:["+id+" /a]", "file:["+id+" "+m.point+"]")
			if name := names.Name("file:[" + id + " " + m.point + "]"); strings.Contains(name, "mounted") {
				t.Errorf("a file that is mounted itself is %q", name)
			}
		}
		for _, link := range links {
			if name := names.Name(link); name == "" || strings.ContainsAny(name, "\n\x1b") {
				t.Errorf("%q is %q", link, name)
			}
		}
		if name := names.Name("/" + path); name != "file" {
			t.Errorf("a path is %q", name)
		}
	})
}

// A device has its name, a file that of its mount, though it is in /dev.
func TestFileLinks(t *testing.T) {
	shared, err := os.CreateTemp("/dev/shm", "a secret")
	if err != nil {
		t.Skip(err)
	}
	defer os.Remove(shared.Name())
	defer shared.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p, err := Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	names := p.Names()
	for _, c := range []struct {
		file *os.File
		link string // now another one
		want *regexp.Regexp
	}{
		{null, "", regexp.MustCompile(`^/dev/null$`)},
		{shared, "", regexp.MustCompile(`^file of \w+, mounted at /\S+$`)},
		{shared, "/etc/passwd", regexp.MustCompile(`^file$`)},
	} {
		n := int(c.file.Fd())
		link := p.Descriptor(n)
		if link != c.file.Name() {
			t.Errorf("the link of %s is %s", c.file.Name(), link)
		}
		if c.link != "" {
			link = c.link
		}
		name := names.Name(cmp.Or(p.File(n, link), link))
		if !c.want.MatchString(name) || strings.Contains(name, "secret") {
			t.Errorf("%s is %q, not %v", c.file.Name(), name, c.want)
		}
	}
}
