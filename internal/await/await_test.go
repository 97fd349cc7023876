package await

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestPoll(t *testing.T) {
	calls := 0
	if !poll(time.Minute, func() bool { calls++; return calls == 3 }) || calls != 3 {
		t.Errorf("%d calls of a condition that holds at the third", calls)
	}
	calls = 0
	if poll(time.Millisecond, func() bool { calls++; return false }) || calls < 2 {
		t.Errorf("%d calls of a condition that never holds", calls)
	}
	if !poll(0, func() bool { return true }) {
		t.Error("a condition that holds already is not checked")
	}
}

// notTests are folders whose files come from elsewhere, or are programs.
var notTests = regexp.MustCompile(`(^|/)(testdata|node_modules|\.[^/.][^/]*)(/|$)`)

// A test that sleeps states why there is no event to wait for: in a comment at the
// end of the line or above it. What has an event waits with this package.
func TestSleepsHaveReasons(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && notTests.MatchString(filepath.ToSlash(strings.TrimPrefix(path, root))):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		commented := map[int]bool{} // lines with a comment, and those below one
		for _, group := range file.Comments {
			first, last := fset.Position(group.Pos()).Line, fset.Position(group.End()).Line
			for line := first; line <= last+1; line++ {
				commented[line] = true
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Sleep" {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" {
				seen++
				if at := fset.Position(sel.Pos()); !commented[at.Line] {
					t.Errorf("%s:%d: time.Sleep without a reason: wait for an event with package await, or state in a comment why there is none", at.Filename, at.Line)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 10 {
		t.Errorf("%d calls of time.Sleep: there are more", seen)
	}
	t.Logf("%d calls of time.Sleep", seen)
}
