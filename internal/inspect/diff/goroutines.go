package diff

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/inspect/stacks"
)

// A Group is goroutines with the same calls, whose number differs.
type Group struct {
	Frames        []stacks.Frame // of the core that has them
	Before, After int            // goroutines
}

// Groups compares the goroutines of two programs but the runtime's own: those that grew
// or shrank most come first. Goroutines are in one group if they are in the same
// functions: two versions of a program have other lines.
func Groups(before, after []stacks.Goroutine) []Group {
	var list []*Group
	byCalls := map[string]*Group{}
	count := func(goroutines []stacks.Goroutine, n func(*Group) *int) {
		groups := stacks.Groups(goroutines)
		for i := range groups {
			g := &groups[i]
			if g.System {
				continue
			}
			key := functions(g.Frames)
			if byCalls[key] == nil {
				byCalls[key] = &Group{Frames: g.Frames}
				list = append(list, byCalls[key])
			}
			*n(byCalls[key]) += len(g.Goroutines)
		}
	}
	count(before, func(g *Group) *int { return &g.Before })
	count(after, func(g *Group) *int { return &g.After })
	var differ []Group
	for _, g := range list {
		if g.Before != g.After {
			differ = append(differ, *g)
		}
	}
	slices.SortStableFunc(differ, func(a, b Group) int { return cmp.Compare(distance(b), distance(a)) })
	return differ
}

func distance(g Group) int { return max(g.Before-g.After, g.After-g.Before) }

func functions(frames []stacks.Frame) string {
	var b strings.Builder
	for i := range frames {
		b.WriteString(frames[i].Function + "\n")
	}
	return b.String()
}
