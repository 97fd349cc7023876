package lint

import (
	"bytes"
	"context"
	"fmt"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/gen"
)

// stale reports annotations that the generated files do not carry, by asking
// the generator what it would write.
func stale(u *unit) {
	if len(u.source.files) == 0 && !u.source.generated {
		return
	}
	dir := u.dir()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || !u.allIn(files) {
		return // an overlay, or a build system that keeps files elsewhere
	}
	result, err := gen.Run(context.Background(), gen.Config{
		Dir: dir, Files: files, ImportPath: importPath(u.pass.Pkg.Path()), Check: true,
	})
	if err != nil {
		u.reportStale(u.clause(), fmt.Sprintf("cannot tell whether the generated files are fresh: %v", err))
		return
	}
	for _, f := range result.Findings {
		// What is wrong with a line is the directive analyzer's to say.
		if !f.Warning && !slices.Contains(annotate.Codes, annotate.Code(f.Code)) {
			u.reportGenerator(f)
		}
	}
	if !result.Failed() {
		u.reportChanges(result.Changes)
	}
}

// allIn tells whether all files of the package are among these.
func (u *unit) allIn(files []string) bool {
	for _, file := range u.pass.Files {
		name, _, _ := original(u.pass.Fset, file)
		if !madeByGo(name) && !slices.Contains(files, name) {
			return false
		}
	}
	return true
}

// importPath returns the path of the package whose tests a package may be.
func importPath(path string) string {
	path, _, _ = strings.Cut(path, " ")
	return strings.TrimSuffix(path, "_test")
}

func (u *unit) reportStale(pos token.Pos, message string) {
	u.report(finding{pos: pos, message: message})
}

// reportGenerator reports what keeps the generator from working, where a file
// of this very package is concerned.
func (u *unit) reportGenerator(f gen.Finding) {
	for _, file := range u.pass.Files {
		name, _, generated := original(u.pass.Fset, file)
		if name != f.Pos.Filename {
			continue
		}
		pos := file.Name.Pos()
		if !generated && f.Pos.Line > 0 {
			if place := foreign(u.pass.Fset, name, f.Pos.Line, max(f.Pos.Column, 1)); place.IsValid() {
				pos = place
			}
		}
		u.reportStale(pos, "generate refuses: "+f.Message)
		return
	}
	if filepath.Ext(f.Pos.Filename) != ".go" && !isExternalTest(u) {
		u.reportStale(u.firstPos(), fmt.Sprintf("generate refuses: %s: %s", filepath.Base(f.Pos.Filename), f.Message))
	}
}

// firstPos is where a finding about the package as a whole stands: at its first
// annotation, else at a package clause.
func (u *unit) firstPos() token.Pos {
	for _, file := range u.source.files {
		if len(file.Annotations) > 0 {
			return file.Annotations[0].Pos
		}
	}
	return u.clause()
}

func isExternalTest(u *unit) bool { return strings.HasSuffix(u.pass.Pkg.Name(), "_test") }

// reportChanges reports what the generator would change: each annotation of
// this package that is not carried as written, or the package when none is the
// reason.
func (u *unit) reportChanges(changes []gen.Change) {
	if len(changes) == 0 {
		return
	}
	const cure = ": run meminspect generate"
	found := false
	for _, change := range changes {
		fresh := newRows(change)
		for _, file := range u.source.files {
			for i := range file.Annotations {
				a := &file.Annotations[i]
				if !slices.Contains(fresh, u.rowPosition(a)) {
					continue
				}
				found = true
				what := "does not carry this line as it is written"
				if change.Old == nil {
					what = "is missing"
				}
				u.report(finding{pos: a.Pos, end: a.End, message: filepath.Base(change.Path) + " " + what + cure})
			}
		}
	}
	if found || isExternalTest(u) {
		return
	}
	for _, change := range changes {
		name := filepath.Base(change.Path)
		switch {
		case change.New == nil:
			u.reportStale(u.firstPos(), name+" carries annotations that are gone"+cure)
		case change.Old == nil:
			u.reportStale(u.firstPos(), name+" is missing"+cure)
		default:
			u.reportStale(u.firstPos(), name+" is stale"+cure)
		}
	}
}

// rowPosition is what the row of an annotation gives as its position.
func (u *unit) rowPosition(a *annotate.Annotation) string {
	pos := a.Pos
	if a.Target.Ident != nil {
		pos = a.Target.Ident.Pos()
	}
	at := u.pass.Fset.Position(pos)
	return fmt.Sprintf("%s:%d", filepath.Base(at.Filename), at.Line)
}

var rowPositions = regexp.MustCompile(`Pos:\s*"([^":]*:)([0-9]+)"`)

// newRows returns the positions of the rows that the new file has and the old
// one does not, be it elsewhere.
func newRows(change gen.Change) []string {
	mask := func(line []byte) string { return string(rowPositions.ReplaceAll(line, []byte("$1"))) }
	old := map[string]bool{}
	for line := range bytes.Lines(change.Old) {
		old[mask(line)] = true
	}
	var list []string
	for line := range bytes.Lines(change.New) {
		if m := rowPositions.FindSubmatch(line); m != nil && !old[mask(line)] {
			list = append(list, string(m[1])+string(m[2]))
		}
	}
	return list
}
