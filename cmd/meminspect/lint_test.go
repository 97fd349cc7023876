package main

import "testing"

func TestTooNew(t *testing.T) {
	for _, test := range []struct {
		goVersion, built string
		want             bool
	}{
		{"go1.27.3", "go1.26.8", true},
		{"go1.27rc1", "go1.26.8", true},
		{"go1.26.9", "go1.26.8", false},
		{"go1.25.5", "go1.26.8", false},
		{"devel +abc", "go1.26.8", false},
		{"", "go1.26.8", false},
		{"go1.27.3", "devel +abc", false},
	} {
		if got := tooNew(test.goVersion, test.built); got != test.want {
			t.Errorf("%s for a program of %s: %v", test.goVersion, test.built, got)
		}
	}
}
