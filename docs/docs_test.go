package docs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/annotate"
)

var (
	codeRow  = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ")
	codeUsed = regexp.MustCompile(`Code:\s*"([a-z-]+)"`)
)

// Every finding that the generator can have is explained, and nothing else is.
func TestEveryCodeIsExplained(t *testing.T) {
	_, table, ok := strings.Cut(Annotations, "## Findings")
	table, _, _ = strings.Cut(table, "\n## ")
	if !ok {
		t.Fatal("no table of codes")
	}
	var explained []string
	for _, match := range codeRow.FindAllStringSubmatch(table, -1) {
		explained = append(explained, match[1])
	}
	var known []string
	for _, code := range annotate.Codes {
		known = append(known, string(code))
	}
	files, err := os.ReadDir("../gen")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		data, err := os.ReadFile("../gen/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range codeUsed.FindAllStringSubmatch(string(data), -1) {
			known = append(known, match[1])
		}
	}
	for _, code := range known {
		if !slices.Contains(explained, code) {
			t.Errorf("annotations.md does not explain %s", code)
		}
	}
	for _, code := range explained {
		if !slices.Contains(known, code) {
			t.Errorf("annotations.md explains %s, which there is not", code)
		}
	}
}
