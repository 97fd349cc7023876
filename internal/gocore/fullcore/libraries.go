package fullcore

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/process"
)

// maxLibraries bounds the shared libraries with Go code that are opened.
const maxLibraries = 256

// A library is a shared library with Go code: that of a C program, or a plugin.
type library struct {
	file *exe.File
	im   *image // as the core has it
	err  error  // why it cannot be read
}

// openLibraries opens the shared libraries with Go code that the core names:
// kernels leave their code and constants out. A file that is missing or of
// another build is reported by Library and MissingLibrary.
func (c *Core) openLibraries() {
	c.libraries = map[string]*library{}
	for _, m := range c.maps {
		if m.Offset != 0 || m.Inode == 0 || m.Path == "" || m.Path == c.name || c.libraries[m.Path] != nil || len(c.libraries) == maxLibraries {
			continue
		}
		im := c.imageAt(m.Start)
		if im == nil {
			continue
		}
		if id, _ := im.BuildIDs(); id == "" {
			continue
		}
		l := &library{im: im}
		c.libraries[m.Path] = l
		if l.file, l.err = exe.OpenRecorded(m.Path); l.err == nil {
			l.err = sameImage(l.file, im)
		}
		if l.err != nil {
			l.err = fmt.Errorf("%s: %w", m.Path, l.err)
			c.Mentions = append(c.Mentions, "shared library "+l.err.Error())
			continue
		}
		loaded := l.file.Loaded(im.bias)
		for _, seg := range loaded.Segments() {
			if !seg.Write {
				c.mem.Put(seg, loaded)
			}
		}
	}
}

// sameImage reports whether a file is what the core has the first page of.
func sameImage(f *exe.File, im *image) error {
	goID, gnuID := f.BuildIDs()
	ownGo, ownGNU := im.BuildIDs()
	if f.Type != im.Type || f.Arch != im.Arch || goID != ownGo || gnuID != ownGNU || !slices.EqualFunc(f.SegmentSizes(), im.SegmentSizes(), sameSegment) {
		return fmt.Errorf("%w: its build ID is %s, the core's %s", ErrOtherBuild, idText(goID, gnuID), idText(ownGo, ownGNU))
	}
	return nil
}

// Library returns the shared library with Go code that was mapped, and its path.
// It belongs to the Core.
func (c *Core) Library(m process.Mapping) (file *exe.File, path string, err error) {
	l := c.libraries[m.Path]
	if l == nil {
		return nil, "", fmt.Errorf("%s: the core does not show that it has Go code", m.Path)
	}
	return l.file, m.Path, l.err
}

// MissingLibrary returns why a shared library with Go code cannot be read, nil
// if all can.
func (c *Core) MissingLibrary() error {
	for _, path := range slices.Sorted(maps.Keys(c.libraries)) {
		if err := c.libraries[path].err; err != nil {
			return err
		}
	}
	return nil
}
