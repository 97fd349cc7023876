package corefile

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/meminspect/meminspect/internal/lazyexp"
)

// A Listed is a core in a directory.
type Listed struct {
	Title
	Path  string
	Bytes int64 // of the file
	Full  bool  // a full core of the kernel's, that systemd-coredump stored
	Waits bool  // it is in the spool, and will be sent
}

// List returns the cores in the directory, the newest first: regular files
// whose names ParseName accepts. It omits links.
func List(dir string) ([]Listed, error) {
	all, err := ListAll(dir)
	return slices.DeleteFunc(all, func(l Listed) bool { return l.Full }), err
}

// ListAll is List with the full cores that systemd-coredump has stored in the directory.
// The cores in the directory's spool are listed too.
func ListAll(dir string) ([]Listed, error) {
	cores, err := listOne(dir)
	if err != nil {
		return nil, err
	}
	if waiting, err := listOne(Spool(dir)); err == nil { // mostly there is none
		for i := range waiting {
			waiting[i].Waits = true
		}
		cores = append(cores, waiting...)
	}
	slices.SortFunc(cores, func(a, b Listed) int {
		return cmp.Or(b.When.Compare(a.When), cmp.Compare(b.Path, a.Path))
	})
	return cores, nil
}

// listOne returns the cores in one folder.
func listOne(dir string) ([]Listed, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var cores []Listed
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		path, full := filepath.Join(dir, e.Name()), false
		title, ok := ParseName(e.Name())
		if !ok {
			title, full = parseSystemdName(e.Name(), func(name string) string { return attributeOf(path, name) })
		}
		if !ok && !full {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // removed since
		}
		cores = append(cores, Listed{Title: title, Path: path, Bytes: info.Size(), Full: full})
	}
	return cores, nil
}

// A Selector names a core by its place in a directory: "@1" is the newest, and
// "shop@2" is the second newest of the program shop.
type Selector struct {
	Program string // "" for all
	N       int    // from 1 on
}

var selectorSyntax = lazyexp.New(`^([A-Za-z0-9_-]*)@([1-9][0-9]{0,8})$`)

// ParseSelector reads a selector.
func ParseSelector(text string) (Selector, bool) {
	m := selectorSyntax().FindStringSubmatch(text)
	if m == nil {
		return Selector{}, false
	}
	n, err := strconv.Atoi(m[2])
	return Selector{Program: m[1], N: n}, err == nil
}

// String returns the selector as [ParseSelector] reads it.
func (s Selector) String() string { return s.Program + "@" + strconv.Itoa(s.N) }

// Find returns the core that the selector names in the directory.
func (s Selector) Find(dir string) (Listed, error) {
	cores, err := ListAll(dir)
	if err != nil {
		return Listed{}, fmt.Errorf("find core %s: %w", s, err)
	}
	if s.Program != "" {
		cores = slices.DeleteFunc(cores, func(c Listed) bool { return c.Program != s.Program })
	}
	if s.N > len(cores) {
		return Listed{}, fmt.Errorf("find core %s: %s has %s", s, dir, s.among(len(cores)))
	}
	return cores[s.N-1], nil
}

// among describes which of the selector's cores there are, if there are n.
func (s Selector) among(n int) string {
	one := Selector{Program: s.Program, N: 1}.String()
	switch {
	case n == 1:
		return "only " + one
	case n == 2:
		return "only " + one + " and " + Selector{Program: s.Program, N: 2}.String()
	case n > 2:
		return "only " + one + " to " + Selector{Program: s.Program, N: n}.String()
	case s.Program != "":
		return "no core of " + s.Program
	}
	return "no core: name another directory with --dir"
}
