package main

import (
	"slices"
	"strings"
	"testing"
)

func TestSplitLine(t *testing.T) {
	for line, want := range map[string][]string{
		"":                          nil,
		"  # a comment":             nil,
		"goroutines  --state chan":  {"goroutines", "--state", "chan"},
		`main.m["a b"].C[ 3 ]`:      {`main.m["a b"].C[ 3 ]`},
		`find "ada lovelace"`:       {"find", "ada lovelace"},
		`find '"ada lovelace"'`:     {"find", `"ada lovelace"`},
		`find "a \" \\ \n b" x`:     {"find", `a " \ \n b`, "x"},
		`print main.m["a \" ]"] x`:  {"print", `main.m["a \" ]"]`, "x"},
		`goroutines --state "a b"`:  {"goroutines", "--state", "a b"},
		`goroutines --state="a b"`:  {"goroutines", "--state=a b"},
		`goroutines --with 'a b'`:   {"goroutines", "--with", "a b"},
		`print 'x y'z`:              {"print", "x yz"},
		`print main.m['x']`:         {"print", "main.m['x']"},
		"find `a b`":                {"find", "`a b`"},
		"print len(main.a) # twice": {"print", "len(main.a)"},
		"print ''":                  {"print", ""},
		`print main.m["]`:           {"print", `main.m["]`},
	} {
		if got := splitLine(line); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// Splitting ends, and loses nothing but spaces, quotes and comments.
func FuzzSplitLine(f *testing.F) {
	f.Add(`print main.m["a b"] 'c d' # e`)
	f.Add("\"\\")
	f.Fuzz(func(t *testing.T, line string) {
		left := line
		for _, word := range splitLine(line) {
			for _, c := range []byte(word) {
				i := strings.IndexByte(left, c)
				if i < 0 {
					t.Fatalf("%q: %q is not in the line", line, word)
				}
				left = left[i+1:]
			}
		}
	})
}
