package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meminspect/meminspect/internal/bytesize"
	"github.com/meminspect/meminspect/internal/inspect"
	"github.com/meminspect/meminspect/runtime/format/note"
)

// gaps returns what a core lacks, and why. lost is the number of goroutines that
// cannot be read.
func gaps(core *inspect.Core, lost int) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if n := core.Missing(); n > 0 {
		add("the file is truncated: %s are missing", bytesize.Short(n))
	}
	if _, ok := core.Note(note.Owner, note.TypeGoroutines); !ok {
		add("goroutines: %v", core.Without())
	}
	problems := core.Problems()
	about := func(what string) bool {
		return slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, what+": ") })
	}
	if lost > 0 && !about("goroutines") {
		add("%d goroutines cannot be read", lost)
	}
	counts := map[string]int{}
	for i := range core.Regions {
		if s := core.Regions[i].Status; s != note.Complete {
			counts[s.String()]++
		}
	}
	for status, n := range counts {
		regions, are := "regions", "are"
		if len(core.Regions) == 1 {
			regions = "region"
		}
		if n == 1 {
			are = "is"
		}
		add("%d of %d %s %s %s", n, len(core.Regions), regions, are, status)
	}
	slices.Sort(out[len(out)-len(counts):])
	receipts := map[string]uint64{}
	var reasons []string
	for _, r := range core.Receipts {
		if r.Reason == note.ReasonUnreadable && r.Rule != "" {
			add("%s", r.Rule)
			continue
		}
		reason := r.Reason.String()
		if _, ok := receipts[reason]; !ok {
			reasons = append(reasons, reason)
		}
		receipts[reason] += r.Size
	}
	var parts []string
	for _, reason := range reasons {
		parts = append(parts, bytesize.Short(receipts[reason])+" "+reason)
	}
	if len(parts) > 0 {
		add("left out: %s", strings.Join(parts, ", "))
	}
	for _, problem := range problems {
		_, why, _ := strings.Cut(problem, ": ")
		if !slices.Contains(out, why) {
			out = append(out, problem)
		}
	}
	if about("regions") && len(core.Regions) == 0 && mayBeFatal(core) {
		add(`crash text: status 2 may be a fatal error of Go, whose text only a program that embeds the runtime passes on: import _ "github.com/meminspect/meminspect/runtime", or use run --stderr-tail 64KiB`)
	}
	return out
}

// mayBeFatal reports whether run made a core of a program that exited as after a fatal
// error, and the text of that is not known.
func mayBeFatal(core *inspect.Core) bool {
	_, known := core.Note(note.Owner, note.TypeCrash)
	return core.Capture != nil && core.Capture.Who == "meminspect run" && core.Capture.Why == "exit-2" && !known
}
