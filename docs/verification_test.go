package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var verifiedBy = regexp.MustCompile("`(Test[A-Za-z0-9]+)` in `([a-z/]+)`")

// The page about verification names tests that exist.
func TestVerificationNamesTests(t *testing.T) {
	page, err := os.ReadFile("explanation/verification.md")
	if err != nil {
		t.Fatal(err)
	}
	named := verifiedBy.FindAllStringSubmatch(string(page), -1)
	if n := strings.Count(string(page), "`Test"); n != len(named) || n == 0 {
		t.Errorf("%d tests are named, %d of them with a package", n, len(named))
	}
	for _, match := range named {
		files, err := filepath.Glob(filepath.Join("..", match[2], "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range files {
			source, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(source), "\nfunc "+match[1]+"(t *testing.T)")
		}
		if !found {
			t.Errorf("verification.md names %s, which %s does not have", match[1], match[2])
		}
	}
}
