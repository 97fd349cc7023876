package page

import (
	"slices"
	"testing"
)

func TestStepsOf(t *testing.T) {
	for path, want := range map[string][]string{
		"":                        {},
		".Tags":                   {".Tags"},
		"[*].of.labels[key]":      {"[*]", ".of", ".labels", "[key]"},
		".([][]main.order)[*][*]": {".([][]main.order)", "[*]", "[*]"},
		".(func(a.T) (b.U)).x":    {".(func(a.T) (b.U))", ".x"},
	} {
		if got := stepsOf(path); !slices.Equal(got, want) {
			t.Errorf("%q: %q, not %q", path, got, want)
		}
	}
}
