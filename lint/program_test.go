package lint

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
)

// A finding that only main can know is reported at the annotation, in another
// package, which the expectations of analysistest cannot express.
func TestWholePrograms(t *testing.T) {
	tests := []struct {
		analyzer, program string
		want              []string
	}{
		{"unregistered", "unregistered/cmd/forgets", []string{
			"unregistered/lib/lib.go:3:1: Forgotten is declared, but nothing registers it: call meminspect.Register(IDForgotten, …), or retire the ID",
		}},
		// ByAnother is registered by a sibling, Registered two packages down.
		{"unregistered", "unregistered/cmd/throughmiddle", []string{
			"unregistered/lib/lib.go:3:1: Forgotten is declared, but nothing registers it: call meminspect.Register(IDForgotten, …), or retire the ID",
		}},
		{"duplicate", "duplicate/cmd/twice", []string{
			"duplicate/copied/copied.go:3:1: Queue has the ID of Queue in example.com/fixture/duplicate/original: the package was copied with its meminspect.ids; remove that file here and generate again",
		}},
	}
	for _, test := range tests {
		t.Run(test.analyzer+"/"+filepath.Base(test.program), func(t *testing.T) {
			got := run(t, fixture(t), find(t, test.analyzer), "example.com/fixture/"+test.program)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
		})
	}
}

// run runs an analyzer and returns its findings, file names relative to dir.
func run(t *testing.T, dir string, a *analysis.Analyzer, pattern string) []string {
	t.Helper()
	pkgs, err := packages.Load(&packages.Config{Mode: packages.LoadAllSyntax | packages.NeedModule, Dir: dir}, pattern)
	if err != nil {
		t.Fatal(err)
	}
	if packages.PrintErrors(pkgs) > 0 {
		t.Fatal("the fixture does not compile")
	}
	graph, err := checker.Analyze([]*analysis.Analyzer{a}, pkgs, nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, action := range graph.Roots {
		if action.Err != nil {
			t.Fatal(action.Err)
		}
		for _, d := range action.Diagnostics {
			at := action.Package.Fset.Position(d.Pos)
			rel, err := filepath.Rel(dir, at.Filename)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, fmt.Sprintf("%s:%d:%d: %s", filepath.ToSlash(rel), at.Line, at.Column, d.Message))
		}
	}
	slices.Sort(list)
	return list
}
