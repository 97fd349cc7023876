package lint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseMark(t *testing.T) {
	for text, want := range map[string]string{
		"//nolint":                            "nolint",
		"//nolint // because":                 "nolint",
		"// nolint:meminspect":                "nolint meminspect",
		"//nolint:errcheck, MemInspect // is": "nolint errcheck meminspect",
		"//nolint:errcheck,all":               "nolint",
		"//nolintlint":                        "",
		"//nolint-ish":                        "",
		"/*nolint*/":                          "",
		"// a word on nolint":                 "",
		"//lint:ignore meminspect why":        "ignore meminspect",
		"//lint:ignore a,meminspect/* why":    "ignore a meminspect/*",
		"//lint:ignore meminspect":            "",
		"//lint:file-ignore meminspect why":   "",
	} {
		got := ""
		if m, ok := parseMark(text); ok {
			got = "ignore"
			if m.nolint {
				got = "nolint"
			}
			got = strings.Join(append([]string{got}, m.names...), " ")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// A comment covers its comment group and what begins on the line below it.
func TestSuppressed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.go")
	text := `package a

//lint:ignore meminspect/secret why
//meminspect:entry
var (
	a int // 6
)

func f() {
	g() //nolint:meminspect
	g()
	//lint:ignore meminspect/area why
	g(
		1, // 14
	)
	g()
	{
		//nolint
		g() // 19
		g()
	}

	//nolint

	g() // 25
}
`
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	lines := func(analyzer string, s Suppression) []int {
		var list []int
		for line := range strings.Count(text, "\n") {
			if suppressed(name, line+1, analyzer, s) {
				list = append(list, line+1)
			}
		}
		return list
	}
	for _, test := range []struct {
		analyzer string
		s        Suppression
		want     []int
	}{
		{"secret", Nolint, []int{3, 4, 5, 6, 7, 10, 18, 19, 23}},
		{"area", Nolint, []int{10, 12, 13, 14, 15, 18, 19, 23}},
		{"secret", NolintElsewhere, []int{3, 4, 5, 6, 7}},
		{"stale", NolintElsewhere, nil},
	} {
		if got := lines(test.analyzer, test.s); !slices.Equal(got, test.want) {
			t.Errorf("%s, %d: lines %v, want %v", test.analyzer, test.s, got, test.want)
		}
	}
	if suppressed(filepath.Join(t.TempDir(), "missing.go"), 1, "area", Nolint) {
		t.Error("a file that is not there suppresses")
	}
}

// Any comment is a mark or none; a mark that names nobody is //nolint, and one
// that covers all of us covers each.
func FuzzParseMark(f *testing.F) {
	f.Add("//nolint:a,b // c")
	f.Add("//lint:ignore meminspect/[ why")
	f.Fuzz(func(t *testing.T, text string) {
		m, ok := parseMark(text)
		if !ok {
			return
		}
		if !strings.Contains(text, "lint") {
			t.Errorf("%q is a mark", text)
		}
		if len(m.names) == 0 && !m.nolint {
			t.Errorf("%q names nobody", text)
		}
		if slices.Contains(m.names, Name) && !m.covers("area") {
			t.Errorf("%q does not cover us", text)
		}
	})
}
