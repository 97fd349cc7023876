package process

import (
	"fmt"
	"strings"
	"unicode"
)

// Names has what the links of a process' descriptors name: sockets and mounts.
type Names struct {
	sockets *sockets
	mounts  map[string]mount // by ID
}

// Name returns what a descriptor is, from its link: that of Descriptor, File or Child. A nil Names
// knows no sockets and mounts.
func (n *Names) Name(link string) string {
	kind, rest, found := strings.Cut(strings.TrimSuffix(link, "]"), ":[")
	switch {
	case link == "":
		return ""
	case link[0] == '/' || !found:
		return "file"
	case kind == "socket" && n != nil:
		return n.sockets.name(rest)
	case kind == "file" && n != nil:
		id, path, _ := strings.Cut(rest, " ")
		return n.mounts[id].name(path)
	case kind == "device":
		return strings.Map(printable, rest)
	case kind == "process":
		pid, command, _ := strings.Cut(rest, " ")
		if command == "" {
			return "process " + pid
		}
		return fmt.Sprintf("process %s (%s)", pid, strings.Map(printable, command))
	case kind == "anon_inode":
		return rest // an eventfd
	}
	return kind // a pipe
}

// printable replaces what does not print in the name of a command or a path, which are any bytes.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

// A mount is a file system in a place.
type mount struct{ system, point string }

// name returns the name of a file of the mount. A file may be mounted itself: then the place
// is its path.
func (m mount) name(path string) string {
	switch {
	case m.system == "":
		return "file"
	case m.point == path:
		return "file of " + strings.Map(printable, m.system)
	}
	return fmt.Sprintf("file of %s, mounted at %s", strings.Map(printable, m.system), strings.Map(printable, m.point))
}

// parseMounts parses a process' mountinfo, of lines such as
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
func parseMounts(text string) map[string]mount {
	mounts := map[string]mount{}
	for line := range strings.Lines(text) {
		place, system, _ := strings.Cut(line, " - ")
		f, kind := strings.Fields(place), strings.Fields(system)
		if len(f) >= 5 && len(kind) > 0 {
			mounts[f[0]] = mount{kind[0], octal.Replace(f[4])}
		}
	}
	return mounts
}

// octal undoes the kernel's escapes in paths.
var octal = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
