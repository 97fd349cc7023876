// Package place finds out where a process runs: its container, and its place in
// a Kubernetes cluster. The kernel knows the former. The latter is in variables
// of the environment, if the pod's manifest sets them from the downward API.
package place

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Place is where a process runs. Unknown fields are empty.
type Place struct {
	Container string // ID
	PodUID    string
	Pod       string // name
	Namespace string
	Node      string
	Image     string
}

// MaxValue is the maximum length of a field in bytes.
const MaxValue = 1024

// A Variable is a variable of the environment that fills a field.
type Variable struct {
	Name  string
	Field func(*Place) *string
}

// Variables returns the variables that [FromEnvironment] reads.
func Variables() []Variable {
	return []Variable{
		{"POD_NAME", func(p *Place) *string { return &p.Pod }},
		{"POD_NAMESPACE", func(p *Place) *string { return &p.Namespace }},
		{"NODE_NAME", func(p *Place) *string { return &p.Node }},
		{"CONTAINER_IMAGE", func(p *Place) *string { return &p.Image }},
	}
}

// FromEnvironment returns what the variables contain. It ignores values that are
// not [Valid].
func FromEnvironment(getenv func(name string) string) Place {
	var p Place
	for _, v := range Variables() {
		if value := getenv(v.Name); Valid(value) {
			*v.Field(&p) = value
		}
	}
	return p
}

// Valid reports whether a text can be a field: one line of printable UTF-8.
func Valid(value string) bool {
	return len(value) <= MaxValue && utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) })
}

// A Line is a fact in the description of a process that cores contain.
type Line struct{ Key, Value string }

// Lines returns the known fields, as a core records them.
func (p Place) Lines() []Line {
	var lines []Line
	for _, f := range fields {
		if value := *f.of(&p); value != "" {
			lines = append(lines, Line{f.key, value})
		}
	}
	return lines
}

// FromLines returns the place that [Place.Lines] wrote.
func FromLines(facts map[string]string) Place {
	var p Place
	for _, f := range fields {
		*f.of(&p) = facts[f.key]
	}
	return p
}

var fields = []struct {
	key string
	of  func(*Place) *string
}{
	{"CONTAINER", func(p *Place) *string { return &p.Container }},
	{"PODUID", func(p *Place) *string { return &p.PodUID }},
	{"POD", func(p *Place) *string { return &p.Pod }},
	{"NAMESPACE", func(p *Place) *string { return &p.Namespace }},
	{"NODE", func(p *Place) *string { return &p.Node }},
	{"IMAGE", func(p *Place) *string { return &p.Image }},
}

// Or returns the place with its unknown fields taken from another one.
func (p Place) Or(other Place) Place {
	for _, f := range fields {
		if to := f.of(&p); *to == "" {
			*to = *f.of(&other)
		}
	}
	return p
}

// FromKernel returns the IDs of a process' container and pod, given the texts of
// its files /proc/PID/cgroup and /proc/PID/mountinfo. The names of control groups
// have both, unless the container has its own view of them. Then the sources of
// the files that engines mount, such as /etc/hosts, have the pod's, and in Docker
// and Podman the container's.
func FromKernel(cgroup, mountinfo string) Place {
	var p Place
	for line := range strings.Lines(cgroup) {
		p.addGroup(line)
	}
	container := ""
	for line := range strings.Lines(mountinfo) {
		f := strings.Fields(line)
		if len(f) < 5 { // ID, parent, device, source, target
			continue
		}
		source, target := f[3], f[4]
		if _, rest, ok := strings.Cut(source, "/pods/"); ok && p.PodUID == "" {
			p.PodUID = uid(rest)
		}
		if target == "/etc/hostname" || target == "/etc/hosts" {
			for _, part := range strings.Split(source, "/") {
				if isID(part) {
					container = part
				}
			}
		}
	}
	// In a pod these are the files of another container, which has the network.
	if p.Container == "" && p.PodUID == "" {
		p.Container = container
	}
	return p
}

// addGroup reads a line of /proc/PID/cgroup: the innermost container's ID is the
// last one.
func (p *Place) addGroup(line string) {
	for _, part := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune("/:.\n", r) }) {
		part = part[strings.LastIndexByte(part, '-')+1:] // docker-ID.scope
		if isID(part) {
			p.Container = part
		}
	}
	if p.PodUID == "" {
		p.PodUID = podUID(line)
	}
}

// podUID returns the UID after the first "pod" that has one.
func podUID(text string) string {
	for {
		_, rest, ok := strings.Cut(text, "pod")
		if !ok {
			return ""
		}
		if id := uid(rest); id != "" {
			return id
		}
		text = rest
	}
}

// uid returns the UID at the start of a text, with dashes: systemd's names of
// groups have underscores in their place.
func uid(text string) string {
	const size = 36
	if len(text) < size {
		return ""
	}
	id := strings.ReplaceAll(text[:size], "_", "-")
	for i := range size {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (id[i] == '-') || !dash && !isHex(id[i]) {
			return ""
		}
	}
	return id
}

func isID(text string) bool {
	const size = 64
	for i := range len(text) {
		if !isHex(text[i]) {
			return false
		}
	}
	return len(text) == size
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }
