package gen

import (
	"bytes"
	"go/token"
	"path/filepath"
	"slices"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/lazyexp"
)

// stale returns a finding for each annotation that a generated file does not
// contain in its current form. If no annotation caused a change, the findings
// are about the changed files.
func (p *plan) stale() []Finding {
	if p.pkg.broken() {
		return nil
	}
	const cure = ": run meminspect generate"
	var list []Finding
	for _, change := range p.changes {
		fresh := newRows(change)
		message := filepath.Base(change.Path) + " does not carry this line as it is written" + cure
		if change.Old == nil {
			message = filepath.Base(change.Path) + " is missing" + cure
		}
		for _, file := range p.pkg.annotated() {
			for i := range file.Annotations {
				a := &file.Annotations[i]
				if slices.Contains(fresh, p.position(rowPos(a))) {
					list = append(list, Finding{Pos: p.pkg.fset.Position(a.Pos), End: p.pkg.fset.Position(a.End), Message: message})
				}
			}
		}
	}
	if len(list) == 0 {
		for _, change := range p.changes {
			name := filepath.Base(change.Path)
			message := name + " is stale" + cure
			switch {
			case onlyLinesMoved(change):
				continue
			case change.New == nil:
				message = name + " carries annotations that are gone" + cure
			case change.Old == nil:
				message = name + " is missing" + cure
			}
			list = append(list, Finding{Pos: token.Position{Filename: change.Path}, Message: message})
		}
	}
	for i := range list {
		list[i].Package, list[i].Code = p.pkg.folder.ImportPath, "stale"
	}
	return list
}

// annotated returns the annotations of the folder's files.
func (p *pkg) annotated() []*annotate.File {
	var list []*annotate.File
	for _, files := range p.files {
		for _, file := range files {
			if file.found != nil {
				list = append(list, file.found)
			}
		}
	}
	return list
}

// annotations counts the annotations of the folder's files.
func (p *pkg) annotations() int {
	n := 0
	for _, file := range p.annotated() {
		n += len(file.Annotations)
	}
	return n
}

// rowPos returns the position that an annotation's row records.
func rowPos(a *annotate.Annotation) token.Pos {
	if a.Target.Ident != nil {
		return a.Target.Ident.Pos()
	}
	return a.Pos
}

var rowPositions = lazyexp.New(`Pos:\s*"([^":]*:)([0-9]+)"`)

// newRows returns the positions of the rows that are in the new file only. It
// ignores rows that differ only in the line number.
func newRows(change Change) []string {
	mask := func(line []byte) string { return string(rowPositions().ReplaceAll(line, []byte("$1"))) }
	old := map[string]bool{}
	for line := range bytes.Lines(change.Old) {
		old[mask(line)] = true
	}
	var list []string
	for line := range bytes.Lines(change.New) {
		if m := rowPositions().FindSubmatch(line); m != nil && !old[mask(line)] {
			list = append(list, string(m[1])+string(m[2]))
		}
	}
	return list
}

// onlyLinesMoved reports whether a generated file differs only in the line
// numbers of positions: an edit further up in a source file must not fail a
// check.
func onlyLinesMoved(change Change) bool {
	if change.Old == nil || change.New == nil {
		return false
	}
	mask := func(text []byte) []byte { return rowPositions().ReplaceAll(text, []byte("$1")) }
	return bytes.Equal(mask(change.Old), mask(change.New))
}
