package lint

import (
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/meminspect/meminspect/internal/nolint"
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

// idle reports whether there is nothing to check: no directive, no generated
// file, and no call of the runtime, here or in imported packages.
func (u *unit) idle() bool {
	return len(u.source.files) == 0 && !u.source.generated && u.world.empty()
}

// dir returns the package's folder.
func (u *unit) dir() string {
	if names := u.writtenFiles(); len(names) > 0 {
		return filepath.Dir(names[0])
	}
	return ""
}

// writtenFiles returns the names of the package's files that the go command did
// not make. A file that an overlay replaces keeps its name.
func (u *unit) writtenFiles() []string {
	var names []string
	for _, file := range u.pass.Files {
		if name, _, _ := original(u.pass.Fset, file); !madeByGo(name) {
			names = append(names, u.source.overlay.Logical(name))
		}
	}
	return names
}

// madeByGo reports whether the go command added the file to a package with cgo:
// _cgo_gotypes.go in another folder, or a file in its cache that is named by a
// hash.
func madeByGo(name string) bool {
	return filepath.Ext(name) != ".go" || strings.HasPrefix(filepath.Base(name), "_")
}

// clause returns a package clause in a file that was not generated, for
// findings about the whole package.
func (u *unit) clause() token.Pos {
	for _, file := range u.pass.Files {
		if _, syntax, generated := original(u.pass.Fset, file); !generated {
			return syntax.Name.Pos()
		}
	}
	return u.pass.Files[0].Name.Pos()
}

// A finding is the result of a check.
type finding struct {
	pos, end token.Pos
	category string
	message  string
	fix      *analysis.SuggestedFix
}

// report reports a finding, unless it is in a generated file or a comment
// suppresses it.
func (u *unit) report(f finding) {
	at := u.pass.Fset.Position(f.pos)
	if u.generated(f.pos) || u.suppressed(at) {
		return
	}
	d := analysis.Diagnostic{Pos: f.pos, End: f.end, Category: f.category, Message: f.message}
	// In cgo's copy of a file, offsets differ from the source's.
	if f.fix != nil && u.pass.Fset.File(f.pos).Name() == at.Filename {
		d.SuggestedFixes = []analysis.SuggestedFix{*f.fix}
	}
	u.pass.Report(d)
}

// suppressed reports whether a comment suppresses the analyzer's findings there.
func (u *unit) suppressed(at token.Position) bool {
	source, err := u.source.overlay.Read(at.Filename, nil)
	return err == nil && nolint.Suppressed(source,
		nolint.Finding{Line: at.Line, Linter: Name, Analyzer: u.pass.Analyzer.Name}, u.suppression == Nolint)
}

// generated reports whether a position is in a generated file that the analyzer
// ignores. The generator fails if a file of another generator has a malformed
// line, so those lines are reported there too.
func (u *unit) generated(pos token.Pos) bool {
	for _, file := range u.pass.Files {
		if file.FileStart <= pos && pos < file.FileEnd {
			_, syntax, generated := original(u.pass.Fset, file)
			return generatedByUs(syntax) || generated && !slices.Contains(FromSyntax(), u.pass.Analyzer.Name)
		}
	}
	return false
}

// foreign returns a position in a file outside the pass. It returns NoPos if
// the file does not have that position.
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
