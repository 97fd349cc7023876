package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The folders, files and functions that internals.md names exist. Renaming one of them
// would leave the page wrong.
func TestInternalsNamesWhatExists(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("explanation/internals.md")
	if err != nil {
		t.Fatal(err)
	}
	roots, err := filepath.Glob("../*")
	if err != nil {
		t.Fatal(err)
	}
	page := withoutCode(string(text))
	exists := func(path string) bool { _, err := os.Stat(filepath.Join("..", path)); return err == nil }
	// A path begins with a folder of the repository. It may end in a name of the package.
	symbol := regexp.MustCompile(`\.[A-Z]\w*$`)
	path := regexp.MustCompile("`([a-z]+(?:/[\\w.-]+)+)`")
	paths := 0
	for _, m := range path.FindAllStringSubmatch(page, -1) {
		if first, _, _ := strings.Cut(m[1], "/"); slices.Contains(roots, filepath.Join("..", first)) && !strings.Contains(m[1], "X.Y.Z") {
			paths++
			if !exists(m[1]) && !exists(symbol.ReplaceAllString(m[1], "")) {
				t.Errorf("internals.md names %s, which does not exist", m[1])
			}
		}
	}
	// `queue.add` in `capture/internal/read`
	functions := 0
	for _, m := range regexp.MustCompile("`((?:\\w+\\.)?\\w+)` in `([a-z]+(?:/[\\w.-]+)+)`").FindAllStringSubmatch(page, -1) {
		functions++
		name, receiver := m[1], `(?:\(.*\) )?`
		if typ, method, ok := strings.Cut(name, "."); ok {
			name, receiver = method, `\(\w+ \*?`+typ+`\) `
		}
		decl := regexp.MustCompile(`(?m)^(?:func ` + receiver + regexp.QuoteMeta(name) + `[\[(]|type ` + regexp.QuoteMeta(name) + ` )`)
		files, err := filepath.Glob(filepath.Join("..", m[2], "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(m[2]) == ".go" {
			files = []string{filepath.Join("..", m[2])}
		}
		if !slices.ContainsFunc(files, func(file string) bool {
			source, err := os.ReadFile(file)
			return err == nil && decl.Match(source)
		}) {
			t.Errorf("internals.md names %s in %s, which does not exist", m[1], m[2])
		}
	}
	if paths < 30 || functions < 4 {
		t.Errorf("%d paths and %d functions: there are more", paths, functions)
	}
	t.Logf("%d paths, %d functions", paths, functions)
}
