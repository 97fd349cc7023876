package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile("(?m)^#+ +(.+)$")
	dropped = regexp.MustCompile("[^a-z0-9 _-]")
)

// Every link of a document leads to a file, and to a heading of it.
func TestLinks(t *testing.T) {
	t.Parallel()
	var pages []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "../")
		switch {
		case d.IsDir() && path != ".." && (notProse.MatchString(name) || d.Name() == "node_modules"):
			return fs.SkipDir
		case filepath.Ext(name) == ".md":
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(withoutCode(string(text)), -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") {
				continue
			}
			links++
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), target)
			}
			info, err := os.Stat(file)
			if err != nil {
				t.Errorf("%s: %s: no such file", page, m[1])
				continue
			}
			if fragment != "" && !info.IsDir() && !hasHeading(t, file, fragment) {
				t.Errorf("%s: %s: no such heading", page, m[1])
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links in %d pages", links, len(pages))
	}
}

// hasHeading reports whether a page has a heading with this anchor, which GitHub makes
// of its text.
func hasHeading(t *testing.T, file, anchor string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range heading.FindAllStringSubmatch(withoutCode(string(text)), -1) {
		if strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}

// The folders are for readers with different questions.
func TestFolders(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if page != "get-started.md" && page != "glossary.md" {
			t.Errorf("%s: a page is a how-to, a reference or an explanation: move it to that folder", page)
		}
	}
}
