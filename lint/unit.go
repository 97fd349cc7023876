package lint

import (
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// A unit is one package under one check.
type unit struct {
	pass        *analysis.Pass
	source      *packageSource
	world       *packageWorld
	suppression Suppression
}

func newUnit(pass *analysis.Pass, s Suppression) *unit {
	return &unit{
		pass:        pass,
		source:      pass.ResultOf[sources].(*packageSource),
		world:       pass.ResultOf[worlds].(*packageWorld),
		suppression: s,
	}
}

// idle tells that nothing can be wrong: no line of ours, nothing generated, no
// call of the runtime, here or below.
func (u *unit) idle() bool {
	return len(u.source.files) == 0 && !u.source.generated && u.world.empty()
}

// dir returns the package's directory.
func (u *unit) dir() string {
	for _, file := range u.pass.Files {
		if name, _, _ := original(u.pass.Fset, file); !madeByGo(name) {
			return filepath.Dir(name)
		}
	}
	return ""
}

// madeByGo tells whether a file is one that the go command adds to packages with
// cgo: _cgo_gotypes.go in a folder elsewhere, or one in its cache that has a hash
// for a name.
func madeByGo(name string) bool {
	return filepath.Ext(name) != ".go" || strings.HasPrefix(filepath.Base(name), "_")
}

// clause returns a package clause that was written, for findings about the
// package as a whole.
func (u *unit) clause() token.Pos {
	for _, file := range u.pass.Files {
		if _, syntax, generated := original(u.pass.Fset, file); !generated {
			return syntax.Name.Pos()
		}
	}
	return u.pass.Files[0].Name.Pos()
}

// A finding is what a check has to say.
type finding struct {
	pos, end token.Pos
	category string
	message  string
	fix      *analysis.SuggestedFix
}

// report hands a finding over, unless it stands in a generated file or a
// comment suppresses it.
func (u *unit) report(f finding) {
	at := u.pass.Fset.Position(f.pos)
	if u.generated(f.pos) || suppressed(at.Filename, at.Line, u.pass.Analyzer.Name, u.suppression) {
		return
	}
	d := analysis.Diagnostic{Pos: f.pos, End: f.end, Category: f.category, Message: f.message}
	// In what cgo makes of a file, offsets are not the source's.
	if f.fix != nil && u.pass.Fset.File(f.pos).Name() == at.Filename {
		d.SuggestedFixes = []analysis.SuggestedFix{*f.fix}
	}
	u.pass.Report(d)
}

// generated tells whether a position of the package is in a generated file.
// Other positions are in files that were looked at before.
func (u *unit) generated(pos token.Pos) bool {
	for _, file := range u.pass.Files {
		if file.FileStart <= pos && pos < file.FileEnd {
			_, _, generated := original(u.pass.Fset, file)
			return generated
		}
	}
	return false
}

// foreign returns a position in a file of another package, so that a finding
// stands at its annotation there; NoPos when the file is not as it was.
func foreign(fset *token.FileSet, name string, line, column int) token.Pos {
	text, err := os.ReadFile(name)
	if err != nil {
		return token.NoPos
	}
	file := fset.AddFile(name, -1, len(text))
	file.SetLinesForContent(text)
	if line > file.LineCount() {
		return token.NoPos
	}
	pos := file.LineStart(line) + token.Pos(column-1)
	if int(pos) > file.Base()+file.Size() {
		return token.NoPos
	}
	return pos
}
