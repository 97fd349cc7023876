package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/meminspect/meminspect/runtime/format/elfcore"
	"github.com/meminspect/meminspect/runtime/format/minidump"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// readerAt reads from bytes.
type readerAt []byte

func (b readerAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ErrFiles reports that a folder does not hold the files of one whole export.
var ErrFiles = errors.New("not the files of a whole export")

// Assemble writes the concatenation of the files in dir to w, which is a core,
// and returns their names in order. It fails before the first byte when the
// files are not those that the head speaks of.
func Assemble(dir string, w io.Writer) ([]string, error) {
	files, err := Order(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if err := appendFile(w, filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func appendFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// Order returns the names of an export's files in the order of their sequence
// numbers. A name may end in a digit, and then where the number begins is known
// from the head alone, which lists the regions.
func Order(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "md_") && strings.HasSuffix(e.Name(), ".BIN") {
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			sizes[e.Name()] = info.Size()
		}
	}
	const first, second = "md_KELF1.BIN", "md_Kvmcorein2.BIN"
	head, err := readAll(filepath.Join(dir, first), filepath.Join(dir, second))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFiles, err)
	}
	core, err := elfcore.Open(readerAt(head), int64(len(head)))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFiles, first, err)
	}
	desc, _ := core.Note(note.Owner, note.TypeRegions)
	table, err := note.DecodeRegions(desc)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFiles, first, err)
	}
	order := []string{first, second}
	delete(sizes, first)
	delete(sizes, second)
	sequence := uint64(2)
	total := int64(len(head))
	for i := range table {
		name, n, ok := next(sizes, &table[i], sequence)
		if !ok {
			return nil, fmt.Errorf("%w: no file of region %s with %d bytes after number %d", ErrFiles, table[i].Name, (table[i].Size+3)&^3, sequence)
		}
		order = append(order, name)
		total += sizes[name]
		delete(sizes, name)
		sequence = n
	}
	if len(sizes) > 0 {
		return nil, fmt.Errorf("%w: the head knows nothing of %d files, %s for one", ErrFiles, len(sizes), anyOf(sizes))
	}
	for i := range core.Loads {
		if l := &core.Loads[i]; l.Offset+l.FileSize > uint64(total) {
			return nil, fmt.Errorf("%w: segment at %#x ends at byte %d of %d", ErrFiles, l.Addr, l.Offset+l.FileSize, total)
		}
	}
	return order, nil
}

// next finds the file of a region: the one with the least number after the last.
func next(sizes map[string]int64, r *note.Region, after uint64) (name string, number uint64, ok bool) {
	prefix := "md_" + minidump.EntryName(r.Name)
	unnamed := r.Name == fmt.Sprintf("%016x", r.ID)
	for file, size := range sizes {
		if unnamed {
			prefix = file[:min(len(file), len("md_K00000000"))]
		}
		digits, found := strings.CutPrefix(strings.TrimSuffix(file, ".BIN"), prefix)
		n, err := strconv.ParseUint(digits, 10, 32)
		if unnamed && prefix != "md_"+minidump.UnnamedEntry(uint32(n)) {
			continue
		}
		if !found || err != nil || n <= after || uint64(size) != (r.Size+3)&^3 {
			continue
		}
		if !ok || n < number {
			name, number, ok = file, n, true
		}
	}
	return name, number, ok
}

func anyOf(sizes map[string]int64) string {
	names := make([]string, 0, len(sizes))
	for name := range sizes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names[0]
}

func readAll(paths ...string) ([]byte, error) {
	var all []byte
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		all = append(all, b...)
	}
	return all, nil
}
