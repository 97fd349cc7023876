package nolint

import (
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
	lines := func(analyzer string, nolint bool) []int {
		var list []int
		for line := range strings.Count(text, "\n") {
			if Suppressed([]byte(text), Finding{line + 1, "meminspect", analyzer}, nolint) {
				list = append(list, line+1)
			}
		}
		return list
	}
	for _, test := range []struct {
		analyzer string
		nolint   bool
		want     []int
	}{
		{"secret", true, []int{3, 4, 5, 6, 7, 10, 18, 19, 23}},
		{"area", true, []int{10, 12, 13, 14, 15, 18, 19, 23}},
		{"secret", false, []int{3, 4, 5, 6, 7}},
		{"stale", false, nil},
	} {
		if got := lines(test.analyzer, test.nolint); !slices.Equal(got, test.want) {
			t.Errorf("%s, %v: lines %v, want %v", test.analyzer, test.nolint, got, test.want)
		}
	}
	if Suppressed(nil, Finding{1, "meminspect", "area"}, true) {
		t.Error("an empty file suppresses")
	}
}

// A mark without names is //nolint, and one that names the linter covers each of
// its analyzers.
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
			t.Errorf("%q has no names", text)
		}
		if slices.Contains(m.names, "meminspect") && !m.covers(Finding{1, "meminspect", "area"}) {
			t.Errorf("%q does not cover us", text)
		}
	})
}
