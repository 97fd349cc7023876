package fullcore

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/core/exe"
	"github.com/meminspect/meminspect/internal/core/memory"
	"github.com/meminspect/meminspect/internal/core/process"
	"github.com/meminspect/meminspect/internal/gocore/module"
	"github.com/meminspect/meminspect/runtime/format/elfcore"
)

// ErrOtherBuild is wrapped by the errors about an executable file that is not
// the one that the core is of.
var ErrOtherBuild = errors.New("it is of another build than the program in the core")

// ErrNoExecutable is wrapped by the errors about a core whose executable is not
// to be had.
var ErrNoExecutable = errors.New("the core leaves out the program's code and constants; name its executable file with --exe")

// Types of entries of the auxiliary vector (<linux/auxvec.h>).
const (
	atPhdr   = 3
	atEntry  = 9
	atRandom = 25
	atExecFn = 31
)

// aux returns an entry of the auxiliary vector, 0 when there is none.
func (c *Core) aux(key uint64) memory.Address {
	for b := c.linux.Auxv; len(b) >= 16; b = b[16:] {
		if binary.LittleEndian.Uint64(b) == key {
			return memory.Address(binary.LittleEndian.Uint64(b[8:]))
		}
	}
	return 0
}

const (
	pageSize = 4096
	deleted  = " (deleted)" // the kernel's remark on a file without a name
)

// findExecutable chooses the executable file: the one at path; else the one
// that the core names, if it is of the same build; else the core's own copy, if
// it has all read-only memory.
func (c *Core) findExecutable(path string) error {
	c.own = c.findImage()
	recorded := c.recorded()
	c.name = recorded
	named := path != ""
	if !named {
		path = recorded
	}
	err := fmt.Errorf("%w (it does not say where that was)", ErrNoExecutable)
	if path != "" {
		open := exe.OpenRecorded
		if named {
			open = exe.Open
		}
		if c.exe, err = c.match(path, open); err == nil {
			c.exePath = path
			c.settleName(path)
			return nil
		}
		err = fmt.Errorf("executable %s: %w", path, err)
	}
	switch {
	case named:
		return err
	case c.own == nil || !c.own.whole(c.raw):
		if path != "" {
			err = fmt.Errorf("%w: %w", ErrNoExecutable, err)
		}
		return err
	}
	if path != "" {
		c.Mentions = append(c.Mentions, err.Error()+"; what the core itself holds of it was used, without symbols")
	} else {
		c.Mentions = append(c.Mentions, "the core does not name its executable: what it holds of it was used, without symbols; --exe adds them")
	}
	c.exe = c.own.File
	c.settleName("")
	return nil
}

// recorded returns the path of the executable in the core: that of the mapping
// with the program headers that the kernel announced. Delve's core has no list
// of mappings; the program's stack has the name that started it.
func (c *Core) recorded() string {
	at := c.aux(atPhdr)
	if at == 0 {
		at = c.aux(atEntry)
	}
	for _, f := range c.linux.Files {
		if memory.Address(f.Start) <= at && at < memory.Address(f.End) {
			return strings.TrimSuffix(f.Path, deleted)
		}
	}
	var text [4096]byte
	n, _ := c.raw.ReadAt(text[:], c.aux(atExecFn))
	name, _, ended := strings.Cut(string(text[:n]), "\x00")
	if ended && filepath.IsAbs(name) {
		return name
	}
	return ""
}

// settleName makes sure that the executable has a name.
func (c *Core) settleName(path string) {
	if c.name == "" && path != "" {
		if abs, err := filepath.Abs(path); err == nil {
			c.name = abs
		}
	}
	if c.name == "" && c.linux.Process != nil {
		c.name = c.linux.Process.Name
	}
	if c.name == "" {
		c.name = "program"
	}
}

// match opens the executable with open, and compares it with the core.
func (c *Core) match(path string, open func(string) (*exe.File, error)) (*exe.File, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	if c.own == nil {
		c.own = c.imageLike(f)
	}
	if err := c.same(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// same reports whether the core's program was started from the file: by the
// build IDs and the segments in the program's first page or, if the core lacks
// that page, by the data that Go's linker wrote.
func (c *Core) same(f *exe.File) error {
	own := c.own
	if elfcore.MachineName(c.file.Machine) != string(f.Arch) {
		return fmt.Errorf("%w: it is for %s", ErrOtherBuild, f.Arch)
	}
	if own == nil {
		return c.sameModule(f)
	}
	if f.Type != own.Type || f.Entry != own.Entry || !slices.EqualFunc(f.SegmentSizes(), own.SegmentSizes(), sameSegment) {
		return fmt.Errorf("%w: its segments are others", ErrOtherBuild)
	}
	goID, gnuID := f.BuildIDs()
	ownGo, ownGNU := own.BuildIDs()
	if goID != ownGo || gnuID != ownGNU {
		return fmt.Errorf("%w: its build ID is %s, the core's %s", ErrOtherBuild, idText(goID, gnuID), idText(ownGo, ownGNU))
	}
	if goID == "" && gnuID == "" {
		return c.sameModule(f)
	}
	return nil
}

// sameSegment compares what is in memory: strip may have moved it in the file.
func sameSegment(a, b exe.SegmentSize) bool { return a.Segment == b.Segment && a.InFile == b.InFile }

func idText(goID, gnuID string) string {
	switch {
	case goID != "":
		return goID
	case gnuID != "":
		return gnuID
	}
	return "none"
}

// sameModule compares the build information and the module data of a file with
// those in the program's data: Go version, modules, revision, and all
// addresses.
func (c *Core) sameModule(f *exe.File) error {
	im := f.Loaded(c.biasOf(f))
	var fromFile, fromCore memory.Spliced
	fromFile.PutAll(im)
	for _, seg := range im.Segments() {
		if seg.Write {
			fromCore.Put(seg, c.raw)
		} else {
			fromCore.Put(seg, im)
		}
	}
	want, err := module.OfImage(im, &fromFile)
	if err != nil {
		return err
	}
	got, err := module.OfImage(im, &fromCore)
	if err != nil {
		return fmt.Errorf("the core holds nothing that tells its build: %w", err)
	}
	a, b := *want.Modules[0], *got.Modules[0]
	a.Next, b.Next = 0, 0 // plugins come at run time
	if a != b || want.Version != got.Version || infoText(want) != infoText(got) {
		return fmt.Errorf("%w: its module data is another", ErrOtherBuild)
	}
	c.Mentions = append(c.Mentions, "the core holds no build ID: the executable was recognised by its module data")
	return nil
}

func infoText(p *module.Program) string {
	if p.BuildInfo == nil {
		return ""
	}
	return p.BuildInfo.String()
}

// bias is what is added to the executable's own addresses.
func (c *Core) bias() memory.Address { return c.biasOf(c.exe) }

func (c *Core) biasOf(f *exe.File) memory.Address {
	switch entry := c.aux(atEntry); {
	case f.Type != elf.ET_DYN:
		return 0
	case c.own != nil:
		return c.own.bias
	case entry != 0:
		return entry - f.Entry
	}
	return 0
}

// claim gives the mappings that are the executable's its name, where the core
// does not name it: in a core of Delve, or one whose notes were cut off.
func (c *Core) claim() {
	for i := range c.maps {
		c.maps[i].Path = strings.TrimSuffix(c.maps[i].Path, deleted)
	}
	if slices.ContainsFunc(c.maps, func(m process.Mapping) bool { return m.Path == c.name }) {
		return
	}
	const inode = 1 << 32
	bias := c.bias()
	for _, seg := range c.exe.SegmentSizes() {
		start := seg.Start + bias
		inFile := memory.Range{Start: start &^ (pageSize - 1), End: start.Add(seg.InFile+pageSize-1) &^ (pageSize - 1)}
		offset := seg.Offset &^ (pageSize - 1)
		found := false
		for i := range c.maps {
			if m := &c.maps[i]; inFile.Contains(m.Start) && m.Path == "" {
				m.Path, m.Inode, m.Offset, found = c.name, inode, offset+uint64(m.Start-inFile.Start), true
			}
		}
		if !found && !seg.Write {
			c.maps = append(c.maps, process.Mapping{Range: inFile, Read: true, Exec: seg.Exec, Path: c.name, Inode: inode, Offset: offset})
		}
	}
	slices.SortStableFunc(c.maps, func(a, b process.Mapping) int { return a.Start.Compare(b.Start) })
}

// codeOf returns which mappings of files that the core names, and has nothing of,
// are code: the files' first pages show that. Of those that have none in the core
// all may be.
func (c *Core) codeOf() {
	begins := map[string]*image{}
	for i := range c.maps {
		m := &c.maps[i]
		if m.Path == "" || m.Inode == 0 {
			continue
		}
		im, seen := begins[m.Path]
		if !seen && m.Offset == 0 {
			im = c.imageAt(m.Start)
			begins[m.Path] = im
		}
		if im == nil || !c.unheld[m.Start] {
			continue
		}
		m.Exec = slices.ContainsFunc(im.Loaded(im.bias).Segments(), func(s memory.Segment) bool { return s.Exec && s.Overlaps(m.Range) })
	}
}

// nameStack marks the mapping of the first thread's stack, where the kernel put
// the auxiliary vector's texts, as /proc does.
func (c *Core) nameStack() {
	for _, at := range []memory.Address{c.aux(atRandom), c.aux(atExecFn)} {
		for i := range c.maps {
			if m := &c.maps[i]; at != 0 && m.Contains(at) && m.Path == "" {
				m.Path = "[stack]"
				return
			}
		}
	}
}
