package lint

import (
	"golang.org/x/tools/go/analysis"

	"github.com/meminspect/meminspect/annotate"
)

// directives reports the diagnostics of package annotate.
func directives(u *unit) {
	var together []*annotate.File
	for _, file := range u.source.files {
		for _, d := range file.Diagnostics {
			u.reportDirective(d)
		}
		// Build constraints may hide a file of another package, or of the package's
		// own tests.
		if file.Syntax.Name.Name == u.pass.Pkg.Name() {
			together = append(together, file.File)
		}
	}
	for _, d := range annotate.Duplicates(u.pass.Fset, together...) {
		u.reportDirective(d)
	}
}

func (u *unit) reportDirective(d annotate.Diagnostic) {
	f := finding{pos: d.Pos, end: d.End, category: string(d.Code), message: d.Message}
	if d.Fix != nil {
		f.fix = &analysis.SuggestedFix{Message: d.Fix.Message, TextEdits: []analysis.TextEdit{
			{Pos: d.Fix.Pos, End: d.Fix.End, NewText: []byte(d.Fix.NewText)},
		}}
	}
	u.report(f)
}
