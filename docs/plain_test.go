package docs

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unplain matches words that make readers guess: what a thing "stands" in, what
// "nobody" does. A sentence with a subject, a verb and the field's own term
// replaces them. Each allowed phrase has another meaning.
var (
	unplain = regexp.MustCompile(`(?i)\b(stands?|whoever|nobody|somebody|meanwhile|thereof|stood|beside|behind|any more|any longer|says?|said|tells|told|held against|is said|took no heed)\b`)
	allowed = regexp.MustCompile("(?i)user nobody|note=said")
)

// notProse are folders whose files are programs for tests, or come from
// elsewhere.
var notProse = regexp.MustCompile(`(^|/)(testdata|examples|\.[^/.][^/]*)(/|$)`)

// TestPlainEnglish checks the comments of Go files and the text of Markdown
// files.
func TestPlainEnglish(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "../")
		if d.IsDir() {
			if path != ".." && notProse.MatchString(name) {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case strings.HasSuffix(name, ".md"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i, line := range strings.Split(withoutCode(string(text)), "\n") {
				checkPlain(t, name, i+1, line)
			}
		case strings.HasSuffix(name, ".go") && name != "docs/plain_test.go":
			return checkComments(t, path, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkPlain reports the first unplain word of a line.
func checkPlain(t *testing.T, file string, line int, text string) {
	t.Helper()
	if word := unplain.FindString(allowed.ReplaceAllString(text, "")); word != "" {
		t.Errorf("%s:%d: %q: write a short sentence with a subject, a verb and the usual term: %s", file, line, word, strings.TrimSpace(text))
	}
}

// checkComments checks the line comments of a Go file. It only scans the file,
// which takes a fraction of the time of parsing it.
func checkComments(t *testing.T, path, name string) error {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	file := fset.AddFile(name, -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		pos, tok, text := s.Scan()
		switch {
		case tok == token.EOF:
			return nil
		case tok == token.COMMENT && strings.HasPrefix(text, "//"):
			checkPlain(t, name, fset.Position(pos).Line, text)
		}
	}
}

// withoutCode blanks fenced code, so that line numbers stay.
func withoutCode(text string) string {
	fenced := false
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if fence := strings.HasPrefix(strings.TrimSpace(line), "```"); fence || fenced {
			lines[i] = ""
			if fence {
				fenced = !fenced
			}
		}
	}
	return strings.Join(lines, "\n")
}

// The check finds the words in a comment, not in code, and knows the allowed
// phrases.
func TestUnplain(t *testing.T) {
	for text, want := range map[string]string{
		"where the value stands":     "stands",
		"Nobody reads it any more.":  "Nobody",
		"a standard library":         "",
		"run as the user nobody":     "",
		"the caller is told":         "told",
		"ErrGone says that it ended": "says",
		"the padding behind it":      "behind",
	} {
		if got := unplain.FindString(allowed.ReplaceAllString(text, "")); got != want {
			t.Errorf("%q: found %q, want %q", text, got, want)
		}
	}
	if got := withoutCode("a\n```\nstands\n```\nb"); got != "a\n\n\n\nb" {
		t.Errorf("withoutCode: %q", got)
	}
}
