package inspect

import (
	"github.com/meminspect/meminspect/internal/inspect/diff"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/inspect/value"
)

// A Difference is what differs between two cores of a program.
type Difference struct {
	Changes []Change
	Groups  []GroupChange // those that grew or shrank most first

	// Unknown is how many values could not be compared, because a core does not have them.
	Unknown int
}

// A Change is a value that differs.
type Change struct {
	Path          string
	Kind          string // added, removed or changed
	Before, After string // in Go syntax, cut where long; "" if there is none
}

// A GroupChange is goroutines in the same functions, whose number differs.
type GroupChange struct {
	Frames        []Frame // the innermost first
	Before, After int
}

// Diff compares two cores of a program, also of two versions of it: values by their types,
// maps by their keys, slices by their longest common subsequence, pointers by what they
// lead to. Goroutines are compared by the functions that they are in.
func Diff(before, after *Core) Difference {
	limits := before.whole()
	limits.Values = max(limits.Values, after.whole().Values)
	limits.Depth = value.DefaultDepth
	result := diff.Programs(before.prog, after.prog, limits)
	out := Difference{Unknown: result.Unknown}
	for _, c := range result.Changes {
		out.Changes = append(out.Changes, Change{Path: c.Path, Kind: string(c.Kind), Before: brief(c.Before), After: brief(c.After)})
	}
	old, _, err1 := stacks.Read(before.prog)
	now, _, err2 := stacks.Read(after.prog)
	if err1 != nil || err2 != nil {
		return out
	}
	for _, g := range diff.Groups(old, now) {
		out.Groups = append(out.Groups, GroupChange{Frames: frames(g.Frames, map[*stacks.Frame][]Frame{}), Before: g.Before, After: g.After})
	}
	return out
}

func brief(v *value.Value) string {
	if v == nil {
		return ""
	}
	return v.Brief().Line()
}
