package lint

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"

	"github.com/meminspect/meminspect/gen"
)

var update = flag.Bool("update", false, "generate the fixtures' generated files and the document anew")

// fixture returns the directory of the fixture module.
func fixture(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// find returns an analyzer by its name.
func find(t *testing.T, name string) *analysis.Analyzer {
	t.Helper()
	for _, a := range Analyzers(Nolint) {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("no analyzer is named %s", name)
	return nil
}

// staleFixtures deliberately differ from the generator's output.
var staleFixtures = []string{"stale/missing", "stale/changed", "stale/leftover", "stale/lost", "stale/collides", "stale/cgo", "directive", "other"}

// The fixtures' generated files are the generator's output.
func TestFixturesAreFresh(t *testing.T) {
	dir := fixture(t)
	folders := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".go" {
			folders[filepath.Dir(path)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder := range folders {
		rel, err := filepath.Rel(dir, folder)
		if err != nil {
			t.Fatal(err)
		}
		rel = filepath.ToSlash(rel)
		if slices.Contains(staleFixtures, rel) {
			continue
		}
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		result, err := gen.Run(context.Background(), gen.Config{
			Dir: folder, Files: files, ImportPath: "example.com/fixture/" + rel, Check: !*update,
		})
		if err != nil {
			t.Fatalf("%s: %v", rel, err)
		}
		for _, f := range result.Findings {
			t.Errorf("%s", f)
		}
		if len(result.Changes) > 0 && !*update {
			t.Errorf("%s is stale: go test ./lint -run %s -update", rel, t.Name())
		}
	}
}

// Every folder of the fixture module is used by a test.
func TestAnalyzers(t *testing.T) {
	tests := map[string][]string{ // analyzer: packages
		"directive":    {"directive", "directive/quiet"},
		"stale":        {"stale/fresh", "stale/missing", "stale/changed", "stale/leftover", "stale/lost", "stale/collides", "stale/cgo"},
		"unregistered": {"unregistered/own", "unregistered/lib", "unregistered/middle"},
		"unknownid":    {"unknownid", "unknownid/lib"},
		"duplicate":    {"duplicate/own", "duplicate/low", "duplicate/high", "duplicate/original", "duplicate/copied"},
		"area":         {"area"},
		"dropped":      {"dropped", "dropped/bypointer"},
		"secret":       {"secret", "secret/model"},
		"unbounded":    {"unbounded"},
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if len(tests[name]) == 0 {
				t.Fatal("no fixture")
			}
			var patterns []string
			for _, pkg := range tests[name] {
				patterns = append(patterns, "example.com/fixture/"+pkg)
			}
			analysistest.RunWithSuggestedFixes(t, fixture(t), find(t, name), patterns...)
		})
	}
}

// Each analyzer has a page that begins with its name and explains more.
func TestPages(t *testing.T) {
	entries, err := pages.ReadDir("pages")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".md")
		if !slices.Contains(Names(), name) {
			t.Errorf("pages/%s.md is no analyzer's page", name)
		}
	}
	for _, name := range Names() {
		page, err := Page(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.HasPrefix(page, "# "+name+"\n") || len(page) < 400 {
			t.Errorf("the page of %s does not begin with its name, or reports little", name)
		}
	}
	if _, err := Page("nonsense"); err == nil {
		t.Error("a page of what does not exist")
	}
}

// The document ends with all pages, one heading level lower, so that there is
// only one text.
func TestDocument(t *testing.T) {
	const name, heading = "../docs/reference/lint.md", "## What it finds\n"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	intro, rest, found := strings.Cut(string(text), heading)
	if !found {
		t.Fatalf("%s has no line %q", name, heading)
	}
	preface, _, _ := strings.Cut(rest, "\n### ")
	want := intro + heading + strings.TrimRight(preface, "\n") + "\n"
	for _, analyzer := range Names() {
		page, err := Page(analyzer)
		if err != nil {
			t.Fatal(err)
		}
		want += "\n##" + page
	}
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s does not end with the pages as they are: go test ./lint -run %s -update", name, t.Name())
	}
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
