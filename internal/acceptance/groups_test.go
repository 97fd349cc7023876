//go:build linux

package acceptance

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meminspect/meminspect/capture"
	"github.com/meminspect/meminspect/internal/debuggers"
	"github.com/meminspect/meminspect/internal/inspect/stacks"
	"github.com/meminspect/meminspect/internal/kinds"
	"github.com/meminspect/meminspect/internal/matrix"
)

// delveGroup is a group that Delve prints: its function, then goroutines, then
// their number.
var delveGroup = regexp.MustCompile(`(?m)^\S.*:\d+ in (.+)\n(?:\t.*\n)*?\tTotal: (\d+)$`)

// delveGroups returns how many goroutines Delve counts for each function.
func delveGroups(t *testing.T, exe, core, by string) map[string]int {
	t.Helper()
	text := escapes.ReplaceAllString(debuggers.DelveSays(t, exe, core, "goroutines -group "+by), "")
	out := map[string]int{}
	for _, g := range delveGroup.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(g[2])
		if err != nil {
			t.Fatal(err)
		}
		out[g[1]] += n
	}
	// The goroutine that waits for C to call into Go, and what the runtime's first
	// instructions seem to have started.
	for _, name := range []string{"?", "runtime.goexit", "runtime.newproc"} {
		delete(out, name)
	}
	return out
}

// groupCounts returns how many goroutines are at each function, started with it, or were
// started by it.
func groupCounts(list []stacks.Goroutine) map[string]map[string]int {
	got := map[string]map[string]int{"userloc": {}, "startloc": {}, "goloc": {}}
	for _, group := range stacks.Groups(list) {
		// Delve does not see calls that were inlined.
		user := slices.IndexFunc(group.Frames, func(f stacks.Frame) bool { return !f.Inlined && !strings.HasPrefix(f.Function, "internal/") })
		got["userloc"][group.Frames[max(user, 0)].Function] += len(group.Goroutines)
		for _, g := range group.Goroutines {
			got["startloc"][g.Start]++
		}
		for _, c := range group.Creators() {
			got["goloc"][c.Name] += c.Count
		}
	}
	return got
}

// As many goroutines are at each function, started with it, or were started by it,
// as Delve counts.
func TestGroupsAsDelve(t *testing.T) {
	needAMD64(t)
	debuggers.Need(t, "dlv")
	for i, b := range []kinds.Build{{}, {Toolchain: "go1.27.3"}, {Toolchain: "go1.24.9"}} {
		t.Run(b.String(), func(t *testing.T) {
			if i > 0 && !matrix.Whole() {
				t.Skip(matrix.Sampled)
			}
			exe := kinds.Make(t, b)
			path, _ := takeCore(t, kinds.Start(t, exe), capture.Options{Stop: capture.StopAlways})
			prog := openProgram(t, path)
			list, _, err := stacks.Read(prog)
			if err != nil {
				t.Fatal(err)
			}
			for by, counts := range groupCounts(list) {
				if diff := cmp.Diff(delveGroups(t, exe, path, by), counts); diff != "" {
					t.Errorf("%s, Delve (-), here (+):\n%s", by, diff)
				}
			}
		})
	}
}
