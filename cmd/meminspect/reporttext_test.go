package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/inspect/report"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/waits"
	"github.com/meminspect/meminspect/runtime/format/logring"
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

// The newest records of the log stay, and the goroutine that failed keeps its calls as long as
// others have more lines than they have to.
func TestFitKeeps(t *testing.T) {
	r := &report.Report{Failed: &report.Goroutine{ID: 1}, Older: 6}
	for i := range 10 {
		r.Log = append(r.Log, logring.Record{Message: fmt.Sprint("record ", i+6)})
		r.Failed.Calls = append(r.Failed.Calls, report.Call{Frame: stacks.Frame{Function: fmt.Sprint("main.f", i), Line: i}})
		r.Groups = append(r.Groups, stacks.Group{Goroutines: []*stacks.Goroutine{{State: "sleep"}}})
	}
	for _, test := range []struct {
		most, calls, groups, log int
		call, rest               string
	}{
		{100, 10, 7, 10, "main.f9", "… 4 groups more"},
		{31, 10, 7, 7, "main.f9", "… 4 groups more"},
		{25, 10, 3, 5, "main.f9", "… 8 groups more"},
		{17, 3, 3, 4, "… 8 lines more", "… 8 groups more"},
	} {
		all := fit([]section{{}, failedSection(r.Failed, 80), groupSection(r, 80), logSection(r, 80)}, test.most)
		failed, groups, log := &all[1], &all[2], &all[3]
		if len(failed.lines) != test.calls || len(groups.lines) != test.groups || len(log.lines) != test.log {
			t.Errorf("%d: %d calls, %d groups and %d records, want %d, %d and %d", test.most, len(failed.lines), len(groups.lines), len(log.lines), test.calls, test.groups, test.log)
			continue
		}
		if last := failed.lines[len(failed.lines)-1]; !strings.HasPrefix(last, test.call) {
			t.Errorf("%d: the calls end with %q, want %q", test.most, last, test.call)
		}
		if last := groups.lines[len(groups.lines)-1]; last != test.rest {
			t.Errorf("%d: the groups end with %q, want %q", test.most, last, test.rest)
		}
		if last := log.lines[len(log.lines)-1]; !strings.HasSuffix(last, "record 15") {
			t.Errorf("%d: the log ends with %q", test.most, last)
		}
		if want := fmt.Sprintf("log, the last %d of 16 records", test.log); log.title != want {
			t.Errorf("%d: %q, want %q", test.most, log.title, want)
		}
	}
}

// Objects that have no line stay counted when lines are omitted.
func TestFitCounts(t *testing.T) {
	s := section{title: "part", lines: []string{"a", "b", "c", "d"}}
	s.addRest("4 objects")
	if got, want := fit([]section{{}, s}, 6)[1].lines, []string{"a", "b", "… 2 lines and 4 objects more"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A place in the source is never cut off: it is on the next line, or the function before it is
// shortened.
func TestPlacedLines(t *testing.T) {
	for _, test := range []struct {
		text, place string
		want        []string
	}{
		{"goroutine 7 locks main.mu", "main.f  shop/f.go:7", []string{"  goroutine 7 locks main.mu: main.f  shop/f.go:7"}},
		{"… 3 goroutines more", "", []string{"  … 3 goroutines more"}},
		{
			`goroutine 7 locks main.book["bob"].mu, which goroutine 8 has to unlock`, "main.f  shop/main.go:7",
			[]string{`  goroutine 7 locks main.book["bob"].mu, which`, "      goroutine 8 has to unlock", "      main.f  shop/main.go:7"},
		},
		{"goroutine 7 locks main.mu", "main.transferBetweenTheAccounts  shop/main.go:7", []string{"  goroutine 7 locks main.mu", "      main.transferBetweenTheA…  shop/main.go:7"}},
		{"goroutine 7 locks main.mu", "main.f  an/extraordinarily/long/name/of/a/file.go:7", []string{"  goroutine 7 locks main.mu", "      main.f  an/extraordinarily/long/name/of/a/f…"}},
	} {
		s := section{width: 50}
		if test.place == "main.transferBetweenTheAccounts  shop/main.go:7" {
			s.width = 47
		}
		s.addPlaced("  ", placedLine{test.text, test.place})
		if !slices.Equal(s.lines, test.want) {
			t.Errorf("%s: %q, want %q", test.text, s.lines, test.want)
		}
	}
	g := stacks.Group{Goroutines: []*stacks.Goroutine{{State: "chan receive"}}, Frames: []stacks.Frame{{Function: "main.aFunctionWithALongName", File: "/src/shop/main.go", Line: 7}}}
	if got, want := groupSection(&report.Report{Groups: []stacks.Group{g}}, 50).lines[0], "    1  chan receive: main.aFuncti…  shop/main.go:7"; got != want {
		t.Errorf("%q, want %q", got, want)
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
