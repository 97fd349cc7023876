package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/inspect/waits"
)

// A report that is too long loses lines of its longest parts, and none of those
// that must stay complete.
func TestFit(t *testing.T) {
	part := func(n int, whole bool) section {
		s := section{title: "part", whole: whole}
		for i := range n {
			s.lines = append(s.lines, fmt.Sprint(i))
		}
		return s
	}
	for _, test := range []struct {
		parts []section
		most  int
		want  []int
	}{
		{[]section{part(2, false), part(4, false)}, 20, []int{2, 4}},
		{[]section{part(2, false), part(20, false), part(6, false)}, 20, []int{2, 6, 6}},
		{[]section{part(4, false), part(20, true), part(6, false)}, 20, []int{4, 20, 3}},
	} {
		var got []int
		for _, s := range fit(test.parts, test.most) {
			got = append(got, len(s.lines))
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%v lines, want %v", got, test.want)
		}
	}
	cut := fit([]section{part(1, false), part(9, false)}, 10)
	if last := cut[1].lines[len(cut[1].lines)-1]; last != "… 5 lines more" {
		t.Errorf("%d lines end with %q", len(cut[1].lines), last)
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", []string{""}},
		{"short", []string{"short"}},
		{"a few words in lines", []string{"a few", "words in", "lines"}},
		{"averylongwordwithoutspaces", []string{"averylongw", "ordwithout", "spaces"}},
		{"Zürich Zürich Zürich and more of it", []string{"Zürich", "Zürich", "Zürich an…"}},
	} {
		if got := wrap(test.text, 10, 3); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

// The report counts certain and possible deadlocks apart, and none that it shows.
func TestDeadlockSection(t *testing.T) {
	for _, test := range []struct {
		certain, possible int
		want              string
	}{
		{1, 0, ""},
		{0, 1, ""},
		{2, 0, "… 1 deadlock more"},
		{1, 1, "… 1 possible deadlock more"},
		{0, 3, "… 2 possible deadlocks more"},
		{4, 3, "… 3 deadlocks and 3 possible deadlocks more"},
	} {
		r := &report.Report{}
		for i := range test.certain + test.possible {
			r.Deadlocks = append(r.Deadlocks, waits.Deadlock{Certain: i < test.certain, Members: 2})
		}
		if got := strings.Join(deadlockSection(r, 80).lines, "\n"); got != test.want {
			t.Errorf("%d certain, %d possible: %q, want %q", test.certain, test.possible, got, test.want)
		}
	}
}

func TestQuoteForShell(t *testing.T) {
	for arg, want := range map[string]string{
		"cores/a.1.core": "cores/a.1.core", "": "''", "my core": "'my core'", "it's": `'it'\''s'`, "$(rm)": "'$(rm)'",
	} {
		if got := quoteForShell(arg); got != want {
			t.Errorf("%q: %s, want %s", arg, got, want)
		}
	}
}
