package gen

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"path/filepath"
	"slices"
	"strings"

	xmodule "golang.org/x/mod/module"

	"github.com/meminspect/meminspect/annotate"
	"github.com/meminspect/meminspect/internal/folders"
)

// A sourceFile is one parsed .go file of a folder.
type sourceFile struct {
	name       string
	hit        bool
	syntax     *ast.File
	constraint fileConstraint
	found      *annotate.File // set if the file may have directives
}

// A unit is a set of files that Go compiles together: the package's own files,
// its in-package tests, or its external tests.
type unit uint8

const (
	ownUnit unit = iota
	testUnit
	externalUnit
)

// A pkg is a folder's package, with its tests.
type pkg struct {
	folder   *folder
	fset     *token.FileSet
	clause   string
	files    [3][]*sourceFile // by unit
	findings []Finding
}

// parsePackage parses the files of a folder and groups them by package clause.
// It reports malformed lines. Its result is complete only if all findings are
// warnings.
func parsePackage(o *folders.Overlay, f *folder) *pkg {
	p := &pkg{folder: f, fset: token.NewFileSet()}
	if len(f.Hits) == 0 {
		return p // the last annotation was removed: nothing else matters
	}
	if err := xmodule.CheckImportPath(f.ImportPath); err != nil {
		p.find(Finding{Pos: token.Position{Filename: f.Dir}, Code: "bad-path", Message: err.Error()})
		return p
	}
	var all []*sourceFile
	for _, name := range f.Names {
		if file := p.parse(o, name); file != nil {
			all = append(all, file)
		}
	}
	p.chooseClause(all)
	if p.clause == "" {
		return p
	}
	for _, file := range all {
		p.place(file)
	}
	p.duplicates()
	return p
}

// parse parses one file. From files without directives only the declared
// identifiers matter, so syntax errors in them are ignored.
func (p *pkg) parse(o *folders.Overlay, name string) *sourceFile {
	path := filepath.Join(p.folder.Dir, name)
	data, err := o.Read(path, nil)
	if err != nil {
		p.find(Finding{Pos: token.Position{Filename: path}, Code: "unreadable", Message: err.Error()})
		return nil
	}
	hit := p.folder.Hits[name]
	syntax, err := parser.ParseFile(p.fset, path, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil && hit {
		p.syntaxErrors(path, err)
	}
	if syntax == nil || syntax.Name == nil || syntax.Name.Name == "" || syntax.Name.Name == "_" {
		return nil
	}
	file := &sourceFile{name: name, hit: hit, syntax: syntax}
	if hit && err == nil {
		file.found = annotate.Collect(p.fset, syntax)
	}
	var pos token.Pos
	file.constraint, pos, err = constraintOf(name, syntax)
	if err != nil && hit {
		p.find(Finding{Pos: p.fset.Position(pos), Code: "bad-constraint", Message: err.Error()})
	}
	return file
}

// syntaxErrors reports why an annotated file cannot be parsed: annotations in
// the part that the parser skipped would be lost.
func (p *pkg) syntaxErrors(path string, err error) {
	var list scanner.ErrorList
	if !errors.As(err, &list) {
		p.find(Finding{Pos: token.Position{Filename: path}, Code: "syntax", Message: err.Error()})
		return
	}
	for _, e := range list {
		p.find(Finding{Pos: e.Pos, Code: "syntax", Message: e.Msg})
	}
}

// chooseClause finds the name of the folder's package. The folder may also
// contain programs under "//go:build ignore", and package documentation.
func (p *pkg) chooseClause(files []*sourceFile) {
	type candidate struct {
		name                       string
		always, constrained, tests int // numbers of files
	}
	var list []*candidate
	for _, file := range files {
		name := file.syntax.Name.Name
		test := strings.HasSuffix(file.name, "_test.go")
		if test {
			name = strings.TrimSuffix(name, "_test")
		}
		i := slices.IndexFunc(list, func(c *candidate) bool { return c.name == name })
		if i < 0 {
			i, list = len(list), append(list, &candidate{name: name})
		}
		switch {
		case file.constraint.wantsIgnored() || name == "documentation":
		case test:
			list[i].tests++
		case file.constraint == "":
			list[i].always++
		default:
			list[i].constrained++
		}
	}
	if len(list) == 0 {
		return
	}
	order := func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(b.always, a.always), cmp.Compare(b.constrained, a.constrained), cmp.Compare(b.tests, a.tests))
	}
	slices.SortStableFunc(list, order)
	if len(list) > 1 && list[1].always > 0 {
		p.find(Finding{Pos: token.Position{Filename: p.folder.Dir}, Code: "two-packages",
			Message: fmt.Sprintf("the folder has files of package %s and of package %s", list[0].name, list[1].name)})
		return
	}
	p.clause = list[0].name
}

// place puts a file into its unit and collects its findings.
func (p *pkg) place(file *sourceFile) {
	name := file.syntax.Name.Name
	test := strings.HasSuffix(file.name, "_test.go")
	at := ownUnit
	switch {
	case test && name == p.clause+"_test":
		at = externalUnit
	case name != p.clause:
		if file.found != nil {
			p.diagnose(file.found.Diagnostics)
			if len(file.found.Annotations) > 0 {
				p.find(Finding{Pos: p.fset.Position(file.found.Annotations[0].Pos), Code: "passed-over", Warning: true,
					Message: fmt.Sprintf("no code is generated: package %s is not the package %s of this folder", name, p.clause)})
			}
		}
		return
	case test:
		at = testUnit
	}
	p.files[at] = append(p.files[at], file)
	if file.found != nil {
		p.diagnose(file.found.Diagnostics)
	}
}

// duplicates reports names that are used twice. In-package tests share the
// package's names; external tests have their own.
func (p *pkg) duplicates() {
	for _, units := range [][]unit{{ownUnit, testUnit}, {externalUnit}} {
		var found []*annotate.File
		for _, u := range units {
			for _, file := range p.files[u] {
				if file.found != nil {
					found = append(found, file.found)
				}
			}
		}
		p.diagnose(annotate.Duplicates(p.fset, found...))
	}
}

func (p *pkg) diagnose(list []annotate.Diagnostic) {
	for _, d := range list {
		f := Finding{Pos: p.fset.Position(d.Pos), End: p.fset.Position(d.End), Code: string(d.Code), Message: d.Message}
		if d.Fix != nil {
			f.Fix = &Fix{d.Fix.Message, p.fset.Position(d.Fix.Pos).Offset, p.fset.Position(d.Fix.End).Offset, d.Fix.NewText}
		}
		p.find(f)
	}
}

func (p *pkg) find(f Finding) {
	f.Package = p.folder.ImportPath
	p.findings = append(p.findings, f)
}

// broken reports whether a finding stops the generation.
func (p *pkg) broken() bool {
	return slices.ContainsFunc(p.findings, func(f Finding) bool { return !f.Warning })
}

// sortFindings puts a folder's findings in source order and removes duplicates:
// a conflict with several generated files is found once for each.
func (p *pkg) sortFindings() {
	slices.SortFunc(p.findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Pos.Filename, b.Pos.Filename), cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column), strings.Compare(a.Message, b.Message))
	})
	p.findings = slices.Compact(p.findings)
}
