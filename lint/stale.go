package lint

import (
	"context"
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/gen"
)

// stale reports annotations that the generated files do not contain, by asking
// the generator what it would write.
func stale(u *unit) {
	if len(u.source.files) == 0 && !u.source.generated {
		return
	}
	dir := u.dir()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // a folder of an overlay, or one that a build system has removed
	}
	var names []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".go") {
			names = append(names, entry.Name())
		}
	}
	names = u.source.overlay.Names(dir, names)
	if !u.allIn(dir, names) {
		return // an overlay that is not in GOFLAGS, or a build system that keeps files elsewhere
	}
	result, err := gen.Run(context.Background(), gen.Config{
		Dir: dir, Files: names, ImportPath: u.importPath(), Check: true,
		Env: []string{}, GoFlags: u.source.overlay.Flags(),
	})
	if err != nil {
		u.report(finding{pos: u.clause(), message: fmt.Sprintf("check the generated files: %v", err)})
		return
	}
	for _, f := range result.Findings {
		// The directive analyzer reports malformed lines.
		if !f.Warning && !slices.Contains(annotate.Codes, annotate.Code(f.Code)) {
			u.reportRefusal(f)
		}
	}
	for _, f := range result.Stale {
		if pos, ok := u.annotationAt(f.Pos); ok {
			u.report(finding{pos: pos.Pos, end: pos.End, message: f.Message})
		} else if f.Pos.Line == 0 && !u.isExternalTest() {
			u.report(finding{pos: u.firstPos(), message: f.Message})
		}
	}
}

// allIn reports whether all files of the package are among those of the folder.
func (u *unit) allIn(dir string, names []string) bool {
	for _, file := range u.pass.Files {
		name, _, _ := original(u.pass.Fset, file)
		name = u.source.overlay.Logical(name)
		if !madeByGo(name) && (filepath.Dir(name) != dir || !slices.Contains(names, filepath.Base(name))) {
			return false
		}
	}
	return true
}

// importPath returns the import path of the folder: a package of external tests
// has another path, and one with tests has the tested package after it.
func (u *unit) importPath() string {
	path, _, _ := strings.Cut(u.pass.Pkg.Path(), " ")
	if u.isExternalTest() {
		path = strings.TrimSuffix(path, "_test")
	}
	return path
}

// isExternalTest reports whether the package has the external tests of another.
// The name does not suffice: folders and packages may be called x_test.
func (u *unit) isExternalTest() bool {
	return strings.HasSuffix(u.pass.Pkg.Name(), "_test") &&
		!slices.ContainsFunc(u.writtenFiles(), func(name string) bool { return !isTest(name) })
}

// reportRefusal reports a problem that prevents generation, if it concerns a
// file of this package.
func (u *unit) reportRefusal(f gen.Finding) {
	for _, file := range u.pass.Files {
		name, _, generated := original(u.pass.Fset, file)
		if u.source.overlay.Logical(name) != f.Pos.Filename {
			continue
		}
		pos := file.Name.Pos()
		if !generated && f.Pos.Line > 0 {
			if place := foreign(u.pass.Fset, name, f.Pos.Line, max(f.Pos.Column, 1)); place.IsValid() {
				pos = place
			}
		}
		u.report(finding{pos: pos, message: "generate refuses: " + f.Message})
		return
	}
	if filepath.Ext(f.Pos.Filename) != ".go" && !u.isExternalTest() {
		u.report(finding{pos: u.firstPos(), message: fmt.Sprintf("generate refuses: %s: %s", filepath.Base(f.Pos.Filename), f.Message)})
	}
}

// annotationAt returns the annotation of this package at a position.
func (u *unit) annotationAt(at token.Position) (*annotate.Annotation, bool) {
	for _, file := range u.source.files {
		if u.source.overlay.Logical(file.name) != at.Filename {
			continue
		}
		for i := range file.Annotations {
			a := &file.Annotations[i]
			if pos := u.pass.Fset.Position(a.Pos); pos.Line == at.Line && pos.Column == at.Column {
				return a, true
			}
		}
	}
	return nil, false
}

// firstPos returns the position of a finding about the whole package: its first
// annotation, or else a package clause.
func (u *unit) firstPos() token.Pos {
	for _, file := range u.source.files {
		if len(file.Annotations) > 0 {
			return file.Annotations[0].Pos
		}
	}
	return u.clause()
}
