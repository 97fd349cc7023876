// Package nolint finds the comments that suppress findings of linters:
// //nolint, as golangci-lint has it, and //lint:ignore, as staticcheck has it.
package nolint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"strings"
)

// A mark is a comment that suppresses findings on the lines first to last.
type mark struct {
	first, last int
	nolint      bool     // //nolint, not //lint:ignore
	names       []string // patterns of names; none for all
}

// A Finding is what a comment may suppress.
type Finding struct {
	Line     int
	Linter   string // the name that covers all its analyzers
	Analyzer string
}

// Suppressed reports whether a comment of the source suppresses the finding. A
// comment covers the lines of its comment group, so that it can be in the doc
// comment that has an annotation, and what begins on the line below the group.
// //nolint counts only with nolint.
func Suppressed(source []byte, f Finding, nolint bool) bool {
	fset := token.NewFileSet()
	// Findings are rare: nothing is kept between them. A file that cannot be
	// parsed as a whole still has its comments.
	file, _ := parser.ParseFile(fset, "", source, parser.ParseComments|parser.SkipObjectResolution)
	if file == nil {
		return false
	}
	for _, m := range marks(fset, file) {
		if m.first <= f.Line && f.Line <= m.last && m.covers(f) && (nolint || !m.nolint) {
			return true
		}
	}
	return false
}

func (m *mark) covers(f Finding) bool {
	if m.nolint && len(m.names) == 0 {
		return true
	}
	for _, pattern := range m.names {
		if pattern == f.Linter {
			return true
		}
		if ok, err := path.Match(pattern, f.Linter+"/"+f.Analyzer); ok && err == nil {
			return true
		}
	}
	return false
}

// marks returns the suppressing comments of a file.
func marks(fset *token.FileSet, file *ast.File) []mark {
	var list []mark
	for _, group := range file.Comments {
		var own []mark
		for _, comment := range group.List {
			if m, ok := parseMark(comment.Text); ok {
				own = append(own, m)
			}
		}
		if len(own) == 0 {
			continue
		}
		first, last := fset.Position(group.Pos()), fset.Position(group.End())
		end := endBelow(fset, file, last.Line+1, first.Column)
		for _, m := range own {
			m.first, m.last = first.Line, max(last.Line, end)
			list = append(list, m)
		}
	}
	return list
}

// endBelow returns the last line of what begins at the line and column, 0 if
// nothing does.
func endBelow(fset *token.FileSet, file *ast.File, line, column int) (last int) {
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil || fset.Position(n.End()).Line < line {
			return false
		}
		switch n.(type) {
		case *ast.Comment, *ast.CommentGroup:
			return false
		}
		if at := fset.Position(n.Pos()); at.Line == line && at.Column == column {
			last = max(last, fset.Position(n.End()).Line)
		}
		return true
	})
	return last
}

// parseMark parses "//nolint", "//nolint:a,b // why" and "//lint:ignore a,b why".
// The last one needs a reason.
func parseMark(text string) (mark, bool) {
	if rest, ok := strings.CutPrefix(text, "//lint:ignore "); ok {
		names, why, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if strings.TrimSpace(why) == "" {
			return mark{}, false
		}
		return mark{names: strings.Split(names, ",")}, true
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(text, "/ "), "nolint")
	if !ok || !strings.HasPrefix(text, "//") {
		return mark{}, false
	}
	rest, _, _ = strings.Cut(rest, "//")
	if rest == "" || rest[0] == ' ' {
		return mark{nolint: true}, true
	}
	list, ok := strings.CutPrefix(rest, ":")
	if !ok {
		return mark{}, false
	}
	m := mark{nolint: true}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "all" {
			return mark{nolint: true}, true
		}
		m.names = append(m.names, name)
	}
	return m, true
}
