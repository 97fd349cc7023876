//go:build linux

package acceptance

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meminspect/meminspect/internal/debuggers"
)

// delve returns what Delve prints, without what differs between two runs of it.
func delve(t *testing.T, exe, core string, commands ...string) []string {
	t.Helper()
	out, err := debuggers.Delve(context.Background(), exe, core, commands...)
	if err != nil {
		t.Fatal(err)
	}
	out = lost.ReplaceAllString(out, "lost")
	return strings.Split(strings.TrimSpace(nowhere.ReplaceAllString(out, "error: nothing there")), "\n")
}

// lost is a frame that Delve makes of an arbitrary word after it has failed to
// unwind a call of C or of the race detector: it knows no function there. It
// does so with full cores too; the word is then from a shared library, which
// our core omits.
var lost = regexp.MustCompile(`0x[0-9a-f]+ in \?\?\?\n\s+at (\?:-1|:0)(\n\s+error: .*)?`)

// nowhere is what Delve prints of an address that is in no core, in two ways that
// depend on what follows it. It comes to such addresses in full cores too,
// where C or the race detector was called.
var nowhere = regexp.MustCompile(`error: (error while reading spliced memory at 0x[0-9a-f]+: EOF|offset \d+ did not match any regions)`)

// untilLost cuts each goroutine's trace in both outputs where Delve fails to
// unwind in either and they differ, and counts those goroutines. After that
// point Delve takes an arbitrary word for a caller: a stale one or a zero in a
// full core, the mark in a skeleton.
func untilLost(a, b []string) (cutA, cutB []string, cut int) {
	one, two := traces(a), traces(b)
	if len(one) != len(two) {
		return a, b, 0
	}
	for i := range one {
		if slices.Equal(one[i], two[i]) {
			cutA, cutB = append(cutA, one[i]...), append(cutB, two[i]...)
			continue
		}
		end := max(len(one[i]), len(two[i]))
		for _, lines := range [][]string{one[i], two[i]} {
			if k := slices.IndexFunc(lines, func(l string) bool { return strings.HasSuffix(l, "  lost") }); k >= 0 {
				end = min(end, k)
			}
		}
		if end < max(len(one[i]), len(two[i])) {
			cut++
		}
		cutA, cutB = append(cutA, one[i][:min(end, len(one[i]))]...), append(cutB, two[i][:min(end, len(two[i]))]...)
	}
	return cutA, cutB, cut
}

// traces splits what Delve prints into lines with the indented ones below them.
func traces(lines []string) (all [][]string) {
	for _, l := range lines {
		if len(all) == 0 || !strings.HasPrefix(l, "\t") {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], l)
	}
	return all
}

// differences returns the lines in which two outputs differ.
func differences(a, b []string) []string {
	var diff []string
	for i := range max(len(a), len(b)) {
		var one, two string
		if i < len(a) {
			one = a[i]
		}
		if i < len(b) {
			two = b[i]
		}
		if one != two {
			diff = append(diff, fmt.Sprintf("line %d\n  ours: %s\n  full: %s", i+1, one, two))
		}
	}
	return diff
}
