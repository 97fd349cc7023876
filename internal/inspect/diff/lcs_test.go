package diff

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What a script of edits leaves alone is the same in both lists and in the same order, and
// no more than need be is replaced.
func TestEdits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Uint64Range(0, 4), 0, 30)
		before, after := list.Draw(t, "before"), list.Draw(t, "after")
		var rebuilt []uint64
		at, kept := 0, 0
		for _, e := range edits(before, after) {
			if e.oldStart < at || e.oldEnd < e.oldStart || e.newEnd < e.newStart {
				t.Fatalf("edit %v after %d", e, at)
			}
			rebuilt = append(append(rebuilt, before[at:e.oldStart]...), after[e.newStart:e.newEnd]...)
			kept += e.oldStart - at
			at = e.oldEnd
		}
		kept += len(before) - at
		rebuilt = append(rebuilt, before[at:]...)
		if !slices.Equal(rebuilt, after) {
			t.Fatalf("the edits make %v", rebuilt)
		}
		if want := longest(before, after); kept != want {
			t.Fatalf("%d elements are kept, want %d", kept, want)
		}
	})
}

// longest is the length of the longest common subsequence, by the definition.
func longest(a, b []uint64) int {
	row := make([]int, len(b)+1)
	for i := range a {
		diagonal := 0
		for k := range b {
			above := row[k+1]
			if a[i] == b[k] {
				row[k+1] = diagonal + 1
			} else {
				row[k+1] = max(above, row[k])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

// Lists that have nothing in common take bounded work.
func TestEditsAreBounded(t *testing.T) {
	before, after := make([]uint64, 1_000_000), make([]uint64, 1_000_000)
	for i := range before {
		before[i], after[i] = uint64(i), uint64(i)+1<<32
	}
	want := []edit{{0, len(before), 0, len(after)}}
	if got := edits(before, after); !slices.Equal(got, want) {
		t.Errorf("%d edits", len(got))
	}
}
