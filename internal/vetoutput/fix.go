package vetoutput

import (
	"bytes"
	"cmp"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"slices"
)

// A Fixed is what Apply did.
type Fixed struct {
	Findings []Finding // those that were fixed
	Left     []Finding // those without a fix, or whose fix would cut into another's
	Files    []string  // those that were written, sorted
}

// Apply carries out the first fix of each finding. A fix is applied as a whole
// or not at all; one that overlaps another is left for the next run, since
// what it would replace is no longer there. Files are replaced in one step.
func Apply(findings []Finding) (Fixed, error) {
	var done Fixed
	files := map[string]*edits{}
	for _, f := range findings {
		if len(f.Fixes) > 0 && fits(files, f.Fixes[0].Edits) {
			for _, e := range f.Fixes[0].Edits {
				if files[e.Filename] == nil {
					files[e.Filename] = &edits{}
				}
				files[e.Filename].add(e)
			}
			done.Findings = append(done.Findings, f)
		} else {
			done.Left = append(done.Left, f)
		}
	}
	for name := range files {
		done.Files = append(done.Files, name)
	}
	slices.Sort(done.Files)
	for _, name := range done.Files {
		if err := files[name].write(name); err != nil {
			return Fixed{}, fmt.Errorf("fix %s: %w", name, err)
		}
	}
	return done, nil
}

// edits are the accepted edits of one file.
type edits struct{ list []Edit }

// fits reports whether no new edit overlaps an accepted one. The same edit may
// come twice: two annotations lead to one field.
func fits(files map[string]*edits, list []Edit) bool {
	for _, e := range list {
		if accepted := files[e.Filename]; accepted != nil {
			for _, a := range accepted.list {
				if a != e && (e.Start < a.End && a.Start < e.End || e.Start == a.Start) {
					return false
				}
			}
		}
	}
	return true
}

func (l *edits) add(e Edit) {
	if !slices.Contains(l.list, e) {
		l.list = append(l.list, e)
	}
}

// write applies the edits to the file.
func (l *edits) write(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	slices.SortFunc(l.list, func(a, b Edit) int { return cmp.Compare(a.Start, b.Start) })
	var out []byte
	at := 0
	for _, e := range l.list {
		if e.Start < at || e.End < e.Start || e.End > len(text) {
			return fmt.Errorf("an edit of bytes %d to %d does not fit the file", e.Start, e.End)
		}
		out = append(append(out, text[at:e.Start]...), e.New...)
		at = e.End
	}
	return replace(name, formatted(text, append(out, text[at:]...)))
}

// formatted is gofmt's form of a file when that is what the file had before:
// a comment between two fields changes the alignment of others.
func formatted(before, after []byte) []byte {
	if was, err := format.Source(before); err != nil || !bytes.Equal(was, before) {
		return after
	}
	if now, err := format.Source(after); err == nil {
		return now
	}
	return after
}

// replace writes a temporary file and renames it, so that a reader never sees a
// part of it. A link stays a link.
func replace(name string, data []byte) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".meminspect-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := cmp.Or(tmp.Chmod(info.Mode().Perm()), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
